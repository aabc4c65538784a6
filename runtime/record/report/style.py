"""The style sheet: calm on a screen, black on white on A4, readable in a dark room."""

from __future__ import annotations

CSS = """
:root { --ink: #1c1f24; --soft: #5a626e; --line: #dfe3e8; --page: #ffffff; --card: #f6f7f9;
  --fine: #006b4f; --look: #9a3f00; --accent: #005a8f; }
* { box-sizing: border-box; }
html { background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Arial, "Liberation Sans",
  sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1.6rem 1.4rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .2rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .5rem; padding-top: .9rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; }
.who { color: var(--soft); margin: 0; }
.notice { border: 2px solid var(--ink); border-radius: .4rem; font-weight: 700; font-size: 1.05rem;
  padding: .5rem .9rem; margin: 1rem 0; max-width: none; text-align: center; }
.alarm { border: 2px solid var(--look); border-radius: .4rem; color: var(--look); font-weight: 700;
  padding: .5rem .9rem; margin: 1rem 0; max-width: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.4rem, 1fr)); gap: .6rem;
  margin: 1.1rem 0; }
.tile { min-width: 0; background: var(--card); border: 1px solid var(--line);
  border-top: .3rem solid var(--soft); border-radius: .4rem; padding: .55rem .7rem .65rem; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.15; white-space: nowrap; }
.tile span { display: block; font-size: .85rem; line-height: 1.3; }
.tile .detail { color: var(--soft); }
.tile .word { font-weight: 700; font-size: .78rem; margin-top: .35rem; }
.fine { border-top-color: var(--fine); } .fine .word { color: var(--fine); }
.look { border-top-color: var(--look); } .look .word { color: var(--look); }
.none .word { color: var(--soft); }
.summary { padding-left: 1.2rem; margin: .4rem 0; max-width: 50rem; }
.summary li { margin: .4rem 0; font-size: 1.06rem; }
.summary li::marker { color: var(--soft); }
figure { margin: 1rem 0 1.6rem; }
figure svg { display: block; width: 100%; height: auto; background: #ffffff; }
figcaption { color: var(--soft); font-size: .93rem; margin-top: .45rem; max-width: 50rem; }
dd .missing { background: none; border: 0; margin: 0; padding: 0; }
.missing { background: var(--card); border-left: .25rem solid var(--line); padding: .6rem .9rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; margin: .6rem 0 1.2rem; }
th { text-align: left; color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--ink); }
th, td { padding: .32rem .7rem .32rem 0; vertical-align: top; overflow-wrap: anywhere; }
td { border-bottom: 1px solid var(--line); }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.log th:nth-child(1) { width: 4.6rem; } .log th:nth-child(2) { width: 10.5rem; }
.settings th:nth-child(1) { width: 7rem; } .settings span { margin-right: 1.1rem; }
dl { margin: .6rem 0; font-size: .92rem; }
dl div { display: flex; gap: 1rem; border-bottom: 1px solid var(--line); padding: .3rem 0; }
dt { flex: 0 0 12rem; color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
code { font-family: ui-monospace, "Liberation Mono", Menlo, Consolas, monospace; font-size: .86em; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 34rem) { dl div { display: block; } .tile b { font-size: 1.3rem; } }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #a8b0bb; --line: #363b43; --page: #15181c; --card: #1e2227;
    --fine: #56d3ab; --look: #ffb068; --accent: #7cc4f2; }
  figure svg { border-radius: .4rem; padding: .5rem; }
}
@media print {
  html { font-size: 10.4pt; }
  body { max-width: none; padding: 0; }
  h2 { margin-top: 1.3rem; padding-top: .6rem; }
  h2, h3 { break-after: avoid; }
  .tiles { grid-template-columns: repeat(5, 1fr); gap: 2mm; }
  figure, .plain, .tile, tr, dl div, .notice, .alarm, .summary li { break-inside: avoid; }
  figure { margin: .6rem 0 1rem; }
  table { font-size: 9pt; } dl { font-size: 9pt; }
  .settings { font-size: 7.5pt; } .settings tr { break-inside: auto; }
}
@page { size: A4; margin: 16mm 14mm 18mm;
  @bottom-left { content: "Investigational, not a medical device. Not a diagnosis.";
    font: 8pt Arial, "Liberation Sans", sans-serif; color: #5a626e; }
  @bottom-right { content: counter(page) " / " counter(pages);
    font: 8pt Arial, "Liberation Sans", sans-serif; color: #5a626e; } }
"""
