/**
 * The plain page at `/`: what runs, what came in lately, targets and their health, firing alerts, and the address of each API. One HTML document without scripts;
 * it reads what the process knows anyway.
 */
import type { FastifyPluginAsync } from 'fastify'

export interface PageView {
  readonly version: string
  readonly startedMs: number
  readonly nowMs: number
  /** '' when ready. */
  readonly waiting: string
  readonly signals: readonly {
    readonly name: string
    readonly items: number
    readonly bytes: number
    readonly itemsPerMinute: number
    readonly refused: number
  }[]
  readonly journal: { readonly bytes: number; readonly segments: number }
  readonly targets: readonly {
    readonly scrapePool: string
    readonly scrapeUrl: string
    readonly health: string
    readonly lastError: string
  }[]
  readonly tails: readonly { readonly source: string; readonly openFiles: number; readonly lagBytes: number }[]
  readonly alerts: readonly { readonly name: string; readonly state: string; readonly labels: string; readonly sinceMs: number }[]
  readonly addresses: readonly { readonly name: string; readonly url: string }[]
}

export function pageApi(view: () => PageView): FastifyPluginAsync {
  return async (app) => {
    app.get('/', async (_request, reply) =>
      reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(renderPage(view())),
    )
  }
}

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b2733}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #e3e8ee;vertical-align:top}
.up{color:#176b3a}.down,.firing{color:#a3241c}.pending{color:#8a5a00}code{font-size:.92em}`

/** At most this many rows a table: the APIs have the rest. */
const ROWS_MAX = 200

export function renderPage(view: PageView): string {
  const uptime = Math.floor((view.nowMs - view.startedMs) / 60_000)
  const state = view.waiting === '' ? '<span class="up">ready</span>' : `<span class="pending">${escape(view.waiting)}</span>`
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="15"><title>Sightline</title><style>${STYLE}</style>
<h1>Sightline ${escape(view.version)}</h1>
<p>${state}, running for ${uptime} min. The journal holds ${bytes(view.journal.bytes)} in ${view.journal.segments} segments.</p>
${table(
  'What came in',
  ['signal', 'items', 'bytes', 'a minute, lately', 'refused'],
  view.signals.map((s) => [escape(s.name), String(s.items), bytes(s.bytes), String(s.itemsPerMinute), String(s.refused)]),
  'nothing yet',
)}
${table(
  'Alerts',
  ['alert', 'state', 'labels', 'since'],
  view.alerts.map((a) => [
    escape(a.name),
    `<span class="${escape(a.state)}">${escape(a.state)}</span>`,
    `<code>${escape(a.labels)}</code>`,
    new Date(a.sinceMs).toISOString(),
  ]),
  'none pending or firing',
)}
${table(
  'Targets',
  ['job', 'target', 'health', 'last error'],
  view.targets.map((t) => [
    escape(t.scrapePool),
    `<code>${escape(t.scrapeUrl)}</code>`,
    `<span class="${t.health === 'up' ? 'up' : t.health === 'down' ? 'down' : ''}">${escape(t.health)}</span>`,
    escape(t.lastError),
  ]),
  'none',
)}
${table(
  'Log files',
  ['source', 'open files', 'unread'],
  view.tails.map((t) => [escape(t.source), String(t.openFiles), bytes(t.lagBytes)]),
  'no tail source is configured',
)}
${table(
  'Addresses',
  ['API', 'URL'],
  view.addresses.map((a) => [escape(a.name), `<code>${escape(a.url)}</code>`]),
  '',
)}
</html>
`
}

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[], empty: string): string {
  if (rows.length === 0) return `<h2>${title}</h2><p>${empty}</p>`
  const cells = (row: readonly string[], tag: string): string => `<tr>${row.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`
  const shown = rows.slice(0, ROWS_MAX)
  const more = rows.length > ROWS_MAX ? `<p>and ${rows.length - ROWS_MAX} more</p>` : ''
  return `<h2>${title}</h2><table>${cells(head, 'th')}${shown.map((row) => cells(row, 'td')).join('')}</table>${more}`
}

function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = count
  let unit = 0
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => ENTITIES[char]!)
}
