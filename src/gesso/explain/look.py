"""How the pages look: paper and ink, small pictures with sharp pixels, one column that one can read."""

__all__ = ["STYLE"]

STYLE = """
:root{color-scheme:light dark;--paper:#faf9f6;--ink:#24231f;--faint:#6d6a62;--line:#e2dfd6;--card:#fff;--red:#d62846;
--blue:#3f78d8;--orange:#b8730f;--check:#ece9e1}
@media (prefers-color-scheme:dark){:root{--paper:#191a1c;--ink:#ecebe6;--faint:#a3a098;--line:#37383b;--card:#232427;
--orange:#e9a64a;--blue:#84abf0;--red:#f2647d;--check:#3a3b3f}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:17px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:62rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
header{display:flex;gap:2.5rem;align-items:flex-start;padding-bottom:2rem}
h1{font-size:2.1rem;line-height:1.15;margin:0 0 .8rem;letter-spacing:-.01em}
h2{font-size:1.35rem;margin:0 0 .4rem}
h3{font-size:1rem;margin:0 0 .3rem}
p{margin:0 0 1rem;max-width:42rem}
q{quotes:"“" "”"}
code{font:.88em ui-monospace,Menlo,Consolas,monospace;background:var(--card);border:1px solid var(--line);
border-radius:4px;padding:.1em .35em}
section{border-top:1px solid var(--line);padding:1.8rem 0 1.2rem}
img{display:block;image-rendering:pixelated;border-radius:4px;
background:repeating-conic-gradient(var(--check) 0 25%,transparent 0 50%) 0 0/16px 16px}
.hero img{width:16rem;height:auto}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1.2rem;margin:0;font-size:.92rem}
dt{color:var(--faint)}dd{margin:0}
.row{display:flex;flex-wrap:wrap;gap:1rem;margin:0 0 1rem}
figure{margin:0;width:6rem}
figure img{width:6rem;height:auto}
figcaption{font-size:.8rem;line-height:1.3;margin-top:.35rem;overflow-wrap:anywhere;color:var(--ink)}
small{color:var(--faint);font-size:.92em}
.traits{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));
gap:1rem 2rem}
.traits li{display:flex;gap:1rem;align-items:center;justify-content:space-between}
.traits li>div{flex:1}
.traits img{width:5rem;height:auto}
.bar{display:block;position:relative;height:6px;border-radius:3px;background:var(--line);margin:.5rem 0 .25rem}
.bar i{position:absolute;top:-4px;width:6px;height:14px;margin-left:-3px;border-radius:3px;background:var(--red)}
.traits small{display:flex;justify-content:space-between;font-size:.78rem}
.words{font-size:1.4rem;line-height:1.9}
.words span{padding:.15em .4em;border-radius:6px;
background:color-mix(in srgb,var(--orange) calc(var(--weight)*.55),transparent)}
.units{display:grid;grid-template-columns:repeat(auto-fit,minmax(20.5rem,1fr));gap:1.2rem}
article{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:1rem 1rem .2rem}
article p{font-size:.9rem}
.map{overflow-x:auto;margin:0 0 1.4rem}
.map img{width:100%;min-width:44rem;height:auto;image-rendering:auto;border-radius:8px}
.drawn{color:var(--blue)}.learned{color:var(--orange)}.here{color:var(--red)}
footer{border-top:1px solid var(--line);padding-top:1.4rem;color:var(--faint);font-size:.88rem}
@media (max-width:44rem){header{flex-direction:column;gap:1.2rem}.hero img{width:12rem}h1{font-size:1.7rem}}
@media print{section,article,figure{break-inside:avoid}}
"""
