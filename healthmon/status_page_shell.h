// SPDX-License-Identifier: Apache-2.0
// What surrounds the sections of the status page: style and script. Private to healthmon.
#pragma once

#include <string_view>

namespace anypop::healthmon {

// Colours say nothing that a word does not say too. Contrast is at least 4.5 : 1 in both schemes.
inline constexpr std::string_view kStatusStyle = R"css(
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --text: #1a1f27; --soft: #556070; --line: #d9dee5;
  --good: #0a6b3d; --bad: #b3261e; --warn: #8a5a00; --accent: #1f5fbf; }
@media (prefers-color-scheme: dark) { :root { --bg: #12161c; --card: #1b212a; --text: #e8ecf2; --soft: #a3aebd;
  --line: #313a47; --good: #5fd39a; --bad: #ff8a80; --warn: #f0bf5c; --accent: #8ab4f8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 16px/1.45 system-ui, sans-serif; }
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1rem; display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1rem; }
main:focus { outline: none; }
h1 { font-size: 1.35rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0; }
section > h3 { margin: .5rem 0; }
p { margin: .2rem 0; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip, .unseen { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .4rem .8rem; }
.soft { color: var(--soft); font-size: .9rem; }
.lead { font-size: 1.15rem; font-weight: 600; margin-top: .6rem; }
.cards { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(min(21rem, 100%), 1fr)); }
.tiles { display: grid; gap: .75rem; margin-top: .8rem;
  grid-template-columns: repeat(auto-fit, minmax(min(9.5rem, 100%), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem;
  overflow-wrap: anywhere; }
#services .card + .card { margin-top: .75rem; }
.tile { display: flex; flex-direction: column; padding-bottom: .5rem; }
.big { font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.tile svg { width: 100%; height: 1.8rem; margin-top: auto; }
.row { display: flex; justify-content: space-between; align-items: center; gap: .75rem; flex-wrap: wrap; }
.rate { flex-wrap: nowrap; }
.tag { font-size: .85rem; font-weight: 600; white-space: nowrap; border: 1.5px solid currentColor; border-radius: 1rem;
  padding: .05rem .6rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .82rem; }
tbody th { color: var(--text); font-size: .92rem; }
th, td { padding: .3rem .8rem .3rem 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: normal; }
th:last-child, td:last-child { padding-right: 0; }
thead th { border-top: 0; white-space: nowrap; }
td[data-name="last probe"] { overflow-wrap: anywhere; min-width: 12rem; }
td[data-name="address"] { white-space: nowrap; }
.meaning { display: block; font-weight: 400; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wide { overflow-x: auto; }
svg { display: block; width: 9rem; height: 1.6rem; }
svg polyline { fill: var(--accent); fill-opacity: .15; stroke: var(--accent); stroke-width: 1.5;
  vector-effect: non-scaling-stroke; }
ol, ul { list-style: none; margin: 0; padding: 0; }
ol.card, ul.card { padding: .3rem .9rem; }
ol li, ul li { padding: .3rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
ol li { display: flex; gap: .8rem; }
li:first-child { border-top: 0; }
.bad-news span { color: var(--bad); }
time { color: var(--soft); font-size: .9rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
footer { padding: 1.5rem 1rem 2rem; }
@media (max-width: 40rem) {
  table.stack thead { position: absolute; left: -99rem; }
  table.stack tr { display: block; padding: .35rem 0; border-top: 1px solid var(--line); }
  table.stack tr:first-child { border-top: 0; }
  table.stack th, table.stack td { display: block; border: 0; padding: 0 0 .1rem; text-align: left; }
  table.stack tr > :first-child, table.stack td:not([data-name]) { display: inline-block; margin-right: .6rem; }
  table.stack td[data-name] { display: flex; justify-content: space-between; gap: 1rem; }
  table.stack td[data-name]::before { content: attr(data-name); color: var(--soft); font-size: .85rem; }
  td[data-name="last probe"] { min-width: 0; text-align: right; }
  .tiles { grid-template-columns: 1fr 1fr; }
}
)css";

// Brings the page up to date node by node: what did not change stays the same node, so that focus, selection, scrolling
// and what a screen reader reads stay where they are. The sentence at the top is said aloud when it changes.
inline constexpr std::string_view kStatusScript = R"js(
(function () {
  var main = document.getElementById('main'), live = document.getElementById('live'),
      said = document.getElementById('said'), heard = Date.now();
  if (!window.EventSource) return;
  function bring(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) { old.replaceWith(fresh); return; }
    if (old.nodeType !== 1) { old.nodeValue = fresh.nodeValue; return; }
    Array.from(old.attributes).forEach(function (a) { if (!fresh.hasAttribute(a.name)) old.removeAttribute(a.name); });
    Array.from(fresh.attributes).forEach(function (a) {
      if (old.getAttribute(a.name) !== a.value) old.setAttribute(a.name, a.value);
    });
    var now = Array.from(old.childNodes), next = Array.from(fresh.childNodes);
    next.forEach(function (node, i) { if (i < now.length) bring(now[i], node); else old.appendChild(node); });
    now.slice(next.length).forEach(function (node) { node.remove(); });
  }
  function lead() { var p = document.getElementById('lead'); return p ? p.textContent : ''; }
  var source = new EventSource('status/stream' + location.search);
  source.onmessage = function (event) {
    var before = lead(), box = document.createElement('template');
    heard = Date.now();
    box.innerHTML = event.data;
    box.content.querySelectorAll('section[id]').forEach(function (fresh) {
      var old = document.getElementById(fresh.id);
      if (old) bring(old, fresh); else main.appendChild(fresh);
    });
    Array.from(main.children).forEach(function (old) {
      if (old.id && event.data.indexOf('<section id="' + old.id + '"') < 0) old.remove();
    });
    live.textContent = 'live';
    if (lead() !== before) said.textContent = lead();
  };
  setInterval(function () {
    if (Date.now() - heard > 5000) live.textContent = 'no news for ' + Math.round((Date.now() - heard) / 1000) + ' s';
  }, 1000);
})();
)js";

}  // namespace anypop::healthmon
