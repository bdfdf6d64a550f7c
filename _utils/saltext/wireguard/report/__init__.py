"""
A mesh as pictures for other programs, and as one page for people.

Pure: values in, text out. Whatever nodes say of themselves gets into the text through ``markup``, or the quoting of the
format.
"""
