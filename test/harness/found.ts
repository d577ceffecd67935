/** What went in, found again through the APIs that Grafana uses, one by one. */
import { expect } from 'vitest'
import { formatLabels, labelsOf } from '../../lib/model/index.ts'
import { parseFloatBytes, parseSeries } from '../../lib/wire/prometheus-text/index.ts'
import { eventually } from './eventually.ts'
import type { NodeExporter } from './node-exporter.ts'
import type { SightlineProcess } from './sightline.ts'

export interface StoredScrapes {
  /** Seconds -> number of the body. */
  readonly numberAt: ReadonlyMap<number, number>
  readonly series: readonly { readonly metric: Record<string, string>; readonly values: [number, string][] }[]
}

/** `signal result` -> items, and `signal gaps`, as /metrics tells them. */
export async function ledgerOf(sightline: SightlineProcess): Promise<Map<string, number>> {
  const text = await (await fetch(`${sightline.url}/metrics`)).text()
  const out = new Map<string, number>()
  for (const [, signal, result, value] of text.matchAll(/^sightline_store_items_total\{signal="(\w+)",result="(\w+)"\} (\d+)$/gm))
    out.set(`${signal} ${result}`, Number(value))
  for (const [, signal, value] of text.matchAll(/^sightline_producer_gaps_total\{signal="(\w+)"\} (\d+)$/gm))
    out.set(`${signal} gaps`, Number(value))
  return out
}

export async function storedScrapes(sightline: SightlineProcess): Promise<StoredScrapes> {
  const numbers = await sightline.query<StoredScrapes['series']>('proxy_body{job="node"}[1h]')
  const series = await sightline.query<StoredScrapes['series']>('{job="node"}[1h]')
  return { numberAt: new Map(numbers.flatMap((one) => one.values.map(([time, value]) => [time, Number(value)] as const))), series }
}

/** A body that was served after the list was taken. */
export async function laterBody(nodeExporter: NodeExporter, number: number): Promise<string> {
  return eventually(() => {
    const body = nodeExporter.bodies.get(number)
    expect(body).toBeDefined()
    return body!
  })
}

/** `series value` of everything exposed in a body. */
export function samplesIn(body: string): string[] {
  const out: string[] = []
  for (const line of body.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const at = line.lastIndexOf(' ')
    const value = Buffer.from(line.slice(at + 1))
    out.push(`${formatLabels(parseSeries(line.slice(0, at)))} ${parseFloatBytes(value, 0, value.length)}`)
  }
  return out.sort()
}

const ADDED = new Set(['job', 'instance', 'cluster', 'region'])
const REPORTED = /^(up|scrape_.*)$/

/** `series value` of everything stored at an instant, without what scraping added. */
export function samplesAt(series: StoredScrapes['series'], time: number): string[] {
  const out: string[] = []
  for (const { metric, values } of series) {
    if (REPORTED.test(metric['__name__']!)) continue
    const cell = values.find(([at]) => at === time)
    if (cell === undefined) continue
    const labels = labelsOf(Object.entries(metric).filter(([name]) => !ADDED.has(name)))
    out.push(`${formatLabels(labels)} ${Number(cell[1].replace('Inf', 'Infinity'))}`)
  }
  return out.sort()
}

/** Every line of a selector, oldest first. */
export async function linesOf(sightline: SightlineProcess, selector: string): Promise<string[]> {
  const out: { ns: bigint; line: string }[] = []
  let startNs = BigInt(Date.now() - 3_600_000) * 1_000_000n
  for (;;) {
    const params = new URLSearchParams({
      query: selector,
      start: String(startNs),
      end: String(BigInt(Date.now() + 1000) * 1_000_000n),
      limit: '5000',
      direction: 'forward',
    })
    const page = await sightline.get<{ data: { result: { values: [string, string][] }[] } }>(
      `/loki/api/v1/query_range?${params.toString()}`,
    )
    const lines = page.data.result.flatMap((stream) => stream.values.map(([ns, line]) => ({ ns: BigInt(ns), line })))
    out.push(...lines)
    if (lines.length < 5000) break
    startNs = lines.reduce((max, { ns }) => (ns > max ? ns : max), 0n) + 1n
  }
  return out.sort((a, b) => (a.ns < b.ns ? -1 : a.ns > b.ns ? 1 : numberOf(a.line) - numberOf(b.line))).map(({ line }) => line)
}

const numberOf = (line: string): number => Number(/^line (\d+)/.exec(line)?.[1] ?? 0)

export async function lokiVector(
  sightline: SightlineProcess,
  query: string,
): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
  const answer = await sightline.get<{ data: { result: { metric: Record<string, string>; value: [number, string] }[] } }>(
    `/loki/api/v1/query?query=${encodeURIComponent(query)}`,
  )
  return answer.data.result
}
