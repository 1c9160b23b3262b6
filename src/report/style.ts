/** The style sheet: colours by variable, so that one rule switches them in the dark. */
export const style = `
:root{color-scheme:light dark;--page:#fbfbfa;--card:#fff;--text:#1d2126;--soft:#5b6470;--edge:#e3e5e8;--grid:#eceef0;--ink:30 58 95;
--c0:#374151;--c1:#1d4ed8;--c2:#0f7a5c;--c3:#7c3aed;--c4:#c2410c;--c5:#be185d;--c6:#8a6d1b}
@media (prefers-color-scheme:dark){:root{--page:#121417;--card:#1a1d21;--text:#e6e8eb;--soft:#9aa3ad;--edge:#2c3137;--grid:#272b31;--ink:173 205 255;
--c0:#c3c9d1;--c1:#7aa7ff;--c2:#3fd6a4;--c3:#b79cff;--c4:#fb923c;--c5:#f686bd;--c6:#e0c25c}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1180px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:clamp(26px,4vw,36px);line-height:1.15;letter-spacing:-.02em;margin:0 0 8px}
h2{font-size:21px;letter-spacing:-.01em;margin:52px 0 4px}
h3{font-size:16px;margin:0 0 2px}
p{margin:0 0 12px;max-width:72ch}
.lead,.note,.caption,dt{color:var(--soft)}
.lead{font-size:17px}.note,.caption{font-size:14px}
code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.findings{margin:24px 0 0;padding:18px 22px;background:var(--card);border:1px solid var(--edge);border-left:4px solid var(--c1);border-radius:10px}
.findings p{margin:0 0 8px;max-width:none}.findings p:last-child{margin:0}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr));gap:20px;margin-top:20px}
.card{background:var(--card);border:1px solid var(--edge);border-radius:12px;padding:18px 20px;min-width:0;margin:0}
.card .caption{margin:0 0 10px}.card.full{grid-column:1/-1}
svg{display:block;width:100%;height:auto;overflow:visible}
svg.narrow{display:none}
@media (max-width:620px){main{padding:28px 14px 48px}.card{padding:14px 12px}svg.wide{display:none}svg.narrow{display:block}}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--text)}
svg .tick{fill:var(--soft);font-size:11.5px}
svg .name{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
svg .name.main{font-weight:700}svg.narrow .name{font-size:10.5px}
.grid{stroke:var(--grid);fill:none}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round;opacity:.9}.line.main{stroke-width:3;opacity:1}
.leader{fill:none;opacity:.45;stroke-dasharray:2 3}.leader.near{opacity:.8;stroke-dasharray:none;stroke-width:.8}.whisker{fill:none;stroke-width:1.5;opacity:.55}
.line.raw{stroke-width:1;opacity:.28}.band{stroke:none;opacity:.14}
.dash1{stroke-dasharray:7 3}.dash2{stroke-dasharray:2.5 2.5}
.mark{stroke:var(--card);stroke-width:1.2}.bubble{fill-opacity:.3;stroke-width:1.6}.grid.one{stroke:var(--soft);stroke-dasharray:4 4}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:12px 0 0;font-size:14px;max-width:none}.dot{display:inline-block;width:10px;height:10px;border-radius:50%;margin-right:7px}
${Array.from({ length: 7 }, (_, i) => `.line.c${i},.leader.c${i},.whisker.c${i},.bubble.c${i}{stroke:var(--c${i})}text.c${i},.band.c${i},.mark.c${i},.bubble.c${i}{fill:var(--c${i})}.dot.c${i}{background:var(--c${i})}`).join('')}
.masks{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr));gap:20px;margin-top:20px}
.mask{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,3fr);gap:14px;margin:10px 0 0}.side{display:flex;flex-direction:column;justify-content:space-between;gap:10px}.side svg{max-width:78%}.side svg{max-width:80%}
.mask svg{border:1px solid var(--edge);background:var(--page)}
${Array.from({ length: 9 }, (_, i) => `.mask .d${i + 1}{fill:rgb(var(--ink)/${Math.round((0.12 + 0.88 * ((i + 1) / 9) ** 1.4) * 100)}%)}`).join('')}
.family{margin:14px 0}.family summary{cursor:pointer;font-weight:600;padding:6px 0}.member{margin:12px 0}.member .facts{display:flex;flex-wrap:wrap;gap:6px 24px;margin:0 0 12px}.member .facts>:first-child{flex-basis:100%}
.findings+h3,.card+h3,.scroll+h3{margin-top:30px}
.looks{font:12px/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;max-width:none;margin:12px 0 0;overflow-wrap:anywhere;white-space:pre-wrap}.looks mark{background:none;color:inherit;outline:2px solid var(--c4);border-radius:2px}
${Array.from({ length: 9 }, (_, i) => `.looks .w${i + 1}{background:rgb(var(--ink)/${Math.round(6 + 44 * ((i + 1) / 9))}%)}`).join('')}
.facts{display:grid;gap:6px;font-size:13px;line-height:1.25;color:var(--soft);margin:0}.facts b{display:block;font-size:17px;color:var(--text);font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto;margin-top:16px;border:1px solid var(--edge);border-radius:12px;background:var(--card)}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:5px 8px;text-align:right;white-space:nowrap;border-top:1px solid var(--grid)}
thead th{border:0;color:var(--soft);font-weight:600;padding-top:10px}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--card)}
tbody th{font-weight:400}tr.main th,tr.main td{font-weight:600}
tr.group th{border-top:1px solid var(--edge);padding-top:14px;font-weight:700}
td.text{text-align:left;white-space:normal;min-width:16em}tr td.why{text-align:left;color:var(--soft);font-weight:400;white-space:normal}td.why:not([colspan]){white-space:nowrap}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;font-size:15px;margin:12px 0}dd{margin:0;overflow-wrap:anywhere}
ul{margin:8px 0;padding-left:20px;max-width:80ch;font-size:15px}li{margin:4px 0}
footer{margin-top:48px;color:var(--soft);font-size:14px}
@media (max-width:620px){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}}
`;
