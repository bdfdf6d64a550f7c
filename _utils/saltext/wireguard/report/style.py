"""
How pictures and the page look. Python, not a file of its own: Salt syncs nothing else.

The colours of states can be told apart by people who see no red or no green, too.
"""

from __future__ import annotations

import re

LIGHT = {
    "back": "#ffffff",
    "card": "#f5f6f8",
    "edge": "#d5d9e0",
    "text": "#1b2330",
    "soft": "#5b6675",
    "link": "#0b62b0",
    "up": "#0a8f6a",
    "idle": "#9bb8cf",
    "unknown": "#b9bec7",
    "stale": "#d98e04",
    "down": "#cf3f1d",
    "disc": "#eef1f5",
    "line": "#8d98a8",
}

DARK = {
    "back": "#12161c",
    "card": "#1a2029",
    "edge": "#343d4a",
    "text": "#e6eaf0",
    "soft": "#9aa6b5",
    "link": "#6cb4ff",
    "up": "#2fc495",
    "idle": "#4f6d86",
    "unknown": "#555e6b",
    "stale": "#f0b23c",
    "down": "#ff6a45",
    "disc": "#1d242e",
    "line": "#65717f",
}

PICTURE = """
svg{background:var(--back)}
.disc{fill:var(--disc);stroke:var(--edge)}
.lines path{fill:none}
.line{stroke:var(--line);stroke-width:1.3;vector-effect:non-scaling-stroke}
.bundle{stroke:var(--edge)}
.bundle.down{stroke:var(--down);stroke-opacity:.55}
.line.up{stroke:var(--up);stroke-opacity:.55}
.line.idle{stroke:var(--idle)}
.line.unknown{stroke:var(--unknown)}
.line.stale{stroke:var(--stale);stroke-width:2}
.line.down{stroke:var(--down);stroke-width:2}
.line.neither{stroke-dasharray:2 4}
.line.one-way{stroke-dasharray:7 3}
.node circle,.node polygon{fill:var(--link);stroke:var(--back);stroke-width:1.5}
.node.fine circle,.node.fine polygon{fill:var(--up)}
.node.behind circle,.node.behind polygon{fill:var(--stale)}
.node.silent circle,.node.silent polygon{fill:var(--down)}
.node.peer circle,.node.peer polygon{fill:var(--back);stroke:var(--link);stroke-width:2}
svg text{font:12px system-ui,sans-serif;fill:var(--text);text-anchor:middle}
svg text.start{text-anchor:start}
svg text.end{text-anchor:end}
svg text.site{font-size:15px;font-weight:600}
svg text.site.start{text-anchor:start}
svg text.small{font-size:3.6px}
"""

PAGE = """
:root{color-scheme:light dark}
*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,sans-serif;background:var(--back);color:var(--text)}
header,main,footer{max-width:1500px;margin:auto;padding:0 1.2rem}
header{padding-top:1rem}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.2rem;margin:2rem 0 .6rem;scroll-margin-top:3.2rem}
h3{font-size:1rem;margin:1rem 0 .4rem}
a{color:var(--link)}
p{margin:.3rem 0}
.soft,footer{color:var(--soft)}
nav{position:sticky;top:0;z-index:2;background:var(--back);border-bottom:1px solid var(--edge)}
nav ul{max-width:1500px;margin:auto;padding:.45rem 1.2rem;display:flex;gap:1.1rem;list-style:none;overflow-x:auto}
nav a{text-decoration:none;white-space:nowrap}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.7rem;margin:1rem 0}
.card{background:var(--card);border:1px solid var(--edge);border-radius:.5rem;padding:.6rem .9rem;
color:inherit;text-decoration:none}
.card b{display:block;font-size:1.5rem;line-height:1.3}
.card.bad b{color:var(--down)}
.card.warn b{color:var(--stale)}
.split{display:grid;grid-template-columns:minmax(0,1fr) 21rem;gap:1rem;align-items:start}
.box{background:var(--card);border:1px solid var(--edge);border-radius:.5rem;padding:.7rem .9rem}
#details{position:sticky;top:3.2rem;max-height:85vh;overflow:auto}
#details h3{overflow-wrap:anywhere}
#details h3:first-child{margin-top:0}
#details li button{border:0;background:none;padding:0}
#details dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem .8rem;margin:.5rem 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
.map{position:relative;border:1px solid var(--edge);border-radius:.5rem;overflow:hidden}
.map svg{display:block;width:100%;min-height:15rem;max-height:min(74vh,46rem);touch-action:pan-x pan-y}
.map svg.near{touch-action:none;cursor:grab}
.map svg:not(.close) text.small{display:none}
.map svg.close text.site{font-size:6px}
.map .buttons{position:absolute;top:.5rem;right:.5rem;display:flex;gap:.3rem}
.disc{cursor:zoom-in}
.node{cursor:pointer;outline:none}
.node:focus-visible circle,.node:focus-visible polygon{stroke:var(--text);stroke-width:3}
.picked .lines,.picked .node:not(.on){opacity:.25}
.picked .node.chosen circle,.picked .node.chosen polygon{stroke:var(--text);stroke-width:3}
button,select,input{font:inherit;color:inherit;background:var(--card);border:1px solid var(--edge);border-radius:.35rem;
padding:.25rem .6rem}
button{cursor:pointer}
input[type=search]{width:min(24rem,100%)}
.tools{display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:center;margin:.5rem 0}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.88rem;margin:.4rem 0}
.key::before{content:"";display:inline-block;width:.75rem;height:.75rem;border-radius:50%;margin-right:.35rem;
background:var(--line);vertical-align:-1px}
.key.up::before,.key.fine::before{background:var(--up)}
.key.idle::before{background:var(--idle)}
.key.unknown::before{background:var(--unknown)}
.key.stale::before,.key.behind::before{background:var(--stale)}
.key.down::before,.key.silent::before{background:var(--down)}
.key.peer::before{background:none;border:2px solid var(--link)}
.key.hub::before{border-radius:0;background:var(--text);clip-path:polygon(25% 5%,75% 5%,100% 50%,75% 95%,25% 95%,0 50%)}
.wide{overflow-x:auto;border:1px solid var(--edge);border-radius:.5rem}
.tall{max-height:75vh;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:.35rem .7rem;border-bottom:1px solid var(--edge);vertical-align:top}
td{overflow-wrap:break-word}
td b,time{white-space:nowrap}
tbody tr:last-child td{border-bottom:0}
thead th{position:sticky;top:0;background:var(--card);white-space:nowrap;z-index:1}
[hidden]{display:none!important}
th button{background:none;border:0;padding:0;font-weight:600}
th[aria-sort=ascending] button::after{content:" \\2191"}
th[aria-sort=descending] button::after{content:" \\2193"}
tr[data-node]{cursor:pointer}
tr[data-node]:hover td,tr.chosen td{background:var(--card)}
td.number,th.number{text-align:right;white-space:nowrap}
.mono{font:.88em ui-monospace,monospace}
.state{white-space:nowrap}
.state::before{content:"";display:inline-block;width:.6rem;height:.6rem;border-radius:50%;margin-right:.4rem;
background:var(--unknown)}
.state.up::before,.state.fine::before{background:var(--up)}
.state.idle::before{background:var(--idle)}
.state.stale::before,.state.behind::before{background:var(--stale)}
.state.down::before,.state.silent::before{background:var(--down)}
.state.peer::before{background:none;border:2px solid var(--link)}
ul.plain{padding-left:1.2rem;margin:.3rem 0}
ul.plain li{overflow-wrap:anywhere}
meter{width:8rem}
canvas{display:block;width:100%;cursor:crosshair}
.readout{min-height:1.6rem}
noscript p{background:var(--card);padding:.6rem}
@media(max-width:900px){.split{grid-template-columns:minmax(0,1fr)}#details{position:static;max-height:none}}
@media(max-width:640px){header,main,footer{padding:0 .8rem}nav ul{padding:.45rem .8rem}
.cards{grid-template-columns:repeat(2,1fr)}.less{display:none}
.map .buttons{position:static;padding:.5rem}th,td{padding:.35rem .45rem}}
@media print{nav,.tools,.buttons{display:none}.tall{max-height:none}}
"""


def page_style() -> str:
    """Of a page with pictures in it."""
    light, dark = (";".join(f"--{name}:{colour}" for name, colour in colours.items()) for colours in (LIGHT, DARK))
    return f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}{PICTURE}{PAGE}"


def picture_style() -> str:
    """Of a picture that stands alone: not all that draw one know variables."""
    return f"{_filled(PICTURE, LIGHT)}@media(prefers-color-scheme:dark){{{_filled(PICTURE, DARK)}}}"


def _filled(style: str, colours: dict[str, str]) -> str:
    return re.sub(r"var\(--(\w+)\)", lambda found: colours[found[1]], style)
