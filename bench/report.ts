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
      : [`peer: ${result.peer.name} ${result.peer.version}; a ratio above 1 means that Sightline is better`]),
  ]
  const rates = result.rows.filter((row) => !isQueries(row))
  if (rates.length > 0) {
    const header = ['row', 'what', '', 'sightline', ...(peer === undefined ? [] : [peer, 'ratio'])]
    lines.push('', ...aligned([header, ...rates.flatMap((row) => rateLines(row, peer))], 3))
  }
  for (const row of result.rows.filter(isQueries)) {
    const rival = peer !== undefined && row.missing[peer] === undefined ? peer : undefined
    const units = QUERY_UNITS.map((unit) => unit.replace('ms ', ''))
    const header = [
      `${row.row}, ms`,
      ...units,
      ...(rival === undefined ? [] : [...units.map((unit) => `${rival} ${unit}`), 'ratio p50', 'ratio CPU']),
    ]
    lines.push('', ...aligned([header, ...queryLines(row, rival)], 1))
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

function rateLines(row: RowResult, peer: string | undefined): string[][] {
  return row.figures.map((figure, i) => {
    const own = figure.values['sightline']?.value
    const other = peer === undefined ? undefined : figure.values[peer]?.value
    return [
      i === 0 ? row.row : '',
      figure.what,
      figure.unit,
      numberText(own),
      ...(peer === undefined ? [] : [other === undefined ? '–' : numberText(other), ratioText(figure, peer)]),
    ]
  })
}

function queryLines(row: RowResult, peer: string | undefined): string[][] {
  const names = [...new Set(row.figures.map(({ what }) => what))]
  return names.map((name) => {
    const figures = QUERY_UNITS.map((unit) => row.figures.find((figure) => figure.what === name && figure.unit === unit)!)
    const cells = (subject: string): string[] => figures.map(({ values }) => numberText(values[subject]?.value))
    return [
      name,
      ...cells('sightline'),
      ...(peer === undefined ? [] : [...cells(peer), ratioText(figures[0]!, peer), ratioText(figures[2]!, peer)]),
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
