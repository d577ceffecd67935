/** A result as a table for people. The document beside it is JSON of the same object. */
import type { BenchResult } from './run.ts'
import type { Figure, RowResult } from './rows/index.ts'

const QUERY_UNITS = ['ms p50', 'ms p95', 'ms CPU']

export function tableOf(result: BenchResult): string {
  const peer = result.peer?.name
  const lines = [
    `${result.machine.cpu}, ${result.machine.cores} cores, ${(result.machine.memoryBytes / 2 ** 30).toFixed(0)} GiB, node ${result.machine.node}, load ${result.machine.loadAverage.toFixed(1)}`,
    `commit ${result.commit.id.slice(0, 10) || 'none'}${result.commit.isDirty ? ' with changes' : ''}, layout ${result.layout}, seed ${result.seed}, ${result.rounds} rounds${result.isQuick ? ', quick' : ''}${result.scale === 1 ? '' : `, scale ${result.scale}`}`,
    ...(result.peer === undefined
      ? []
      : [`peer: ${result.peer.name} ${result.peer.version}; a ratio above 1 means that the first is better`]),
  ]
  const rates = result.rows.filter((row) => !isQueries(row))
  if (rates.length > 0) {
    const columns = columnsOf(rates, peer)
    const header = ['row', 'what', '', ...columns.map(({ title }) => title), ...(peer === undefined ? [] : ['ratio'])]
    lines.push('', ...aligned([header, ...rates.flatMap((row) => rateLines(row, columns, peer))], 3))
  }
  for (const row of result.rows.filter(isQueries)) {
    const rival = peer !== undefined && row.missing[peer] === undefined ? peer : undefined
    const columns = columnsOf([row], rival).flatMap(queryColumns)
    const header = [`${row.row}, ms`, ...columns.map(({ title }) => title), ...(rival === undefined ? [] : ['ratio p50', 'ratio CPU'])]
    lines.push('', ...aligned([header, ...queryLines(row, columns, rival)], 1))
  }
  for (const { row, missing } of result.rows) for (const why of Object.values(missing)) lines.push(`${row}: not measured: ${why}`)
  lines.push('', ...countLines(result.rows))
  for (const [row, why] of Object.entries(result.failed)) lines.push(`${row}: FAILED: ${why}`)
  lines.push(`${result.seconds.toFixed(0)} s`)
  return `${lines.join('\n')}\n`
}

function isQueries(row: RowResult): boolean {
  return row.figures.some(({ unit }) => unit === QUERY_UNITS[0])
}

/** A subject, or one role of it, which stands behind it. */
interface Column {
  readonly title: string
  readonly subject: string
  readonly role: string | undefined
}

function columnsOf(rows: readonly RowResult[], peer: string | undefined): Column[] {
  return ['sightline', ...(peer === undefined ? [] : [peer])].flatMap((subject) => {
    const measured = rows.flatMap(({ figures }) => figures.flatMap(({ values }) => values[subject] ?? []))
    const roles = [...new Set(measured.flatMap(({ parts }) => Object.keys(parts ?? {})))]
    return [{ title: subject, subject, role: undefined }, ...roles.map((role) => ({ title: role, subject, role }))]
  })
}

interface QueryColumn extends Column {
  readonly unit: string
}

/** Of a role only the processor time is known. */
function queryColumns({ title, subject, role }: Column): QueryColumn[] {
  const prefix = subject === 'sightline' && role === undefined ? '' : `${title} `
  const units = role === undefined ? QUERY_UNITS : ['ms CPU']
  return units.map((unit) => ({ title: `${prefix}${unit.replace('ms ', '')}`, subject, role, unit }))
}

function valueOf(figure: Figure | undefined, { subject, role }: Column): number | undefined {
  const measured = figure?.values[subject]
  return role === undefined ? measured?.value : measured?.parts?.[role]?.value
}

function rateLines(row: RowResult, columns: readonly Column[], peer: string | undefined): string[][] {
  return row.figures.map((figure, i) => [
    i === 0 ? row.row : '',
    figure.what,
    figure.unit,
    ...columns.map((column) => numberText(valueOf(figure, column))),
    ...(peer === undefined ? [] : [ratioText(figure, peer)]),
  ])
}

function queryLines(row: RowResult, columns: readonly QueryColumn[], peer: string | undefined): string[][] {
  const names = [...new Set(row.figures.map(({ what }) => what))]
  return names.map((name) => {
    const figureOf = (unit: string): Figure | undefined => row.figures.find((figure) => figure.what === name && figure.unit === unit)
    return [
      name,
      ...columns.map((column) => numberText(valueOf(figureOf(column.unit), column))),
      ...(peer === undefined ? [] : [ratioText(figureOf('ms p50')!, peer), ratioText(figureOf('ms CPU')!, peer)]),
    ]
  })
}

/** Where something is missing or doubled, the figures of the row mean nothing: it says so. */
function countLines(rows: readonly RowResult[]): string[] {
  return rows.flatMap(({ row, counts }) =>
    Object.entries(counts).flatMap(([subject, { sent, stored }]) => {
      if (stored === undefined) return [`${row}: ${subject} was sent ${sent} items; how many it stored can't be told`]
      return sent === stored ? [] : [`${row}: ${subject} was sent ${sent} items and has ${stored}`]
    }),
  )
}

/** How many times better the first is; undefined where one has no figure or nothing to divide by. */
export function ratioOf({ better, values }: Figure, peer: string): number | undefined {
  const own = values['sightline']?.value
  const other = values[peer]?.value
  if (own === undefined || other === undefined) return undefined
  const ratio = better === 'more' ? own / other : other / own
  return Number.isFinite(ratio) ? ratio : undefined
}

function ratioText(figure: Figure, peer: string): string {
  const ratio = ratioOf(figure, peer)
  return ratio === undefined ? '–' : `${ratio.toFixed(2)}×`
}

/** Three digits that say something. */
export function numberText(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(2)} M`
  if (Math.abs(value) >= 1e4) return `${(value / 1e3).toFixed(0)} k`
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

/** Columns as wide as they need; those from `numbersFrom` on to the right. */
function aligned(cells: readonly (readonly string[])[], numbersFrom: number): string[] {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)))
  return cells.map((line) =>
    line
      .map((cell, column) => (column < numbersFrom ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
}
