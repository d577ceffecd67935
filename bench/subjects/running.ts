/**
 * A peer that runs already, by its URL and process id: what it can do is found by asking. An API that answers its build information has its language; an intake
 * is there where an empty request isn't told 404. It is never stopped, and what it holds already stays.
 */
import { cpuSecondsOf, rssBytesOf } from '../measure/process.ts'
import { metricIn, quiet, type Ability, type Subject } from './subject.ts'

export interface RunningPeer {
  readonly url: string
  readonly pid: number
  /** Base URL of its OTLP over HTTP, where that is another port. */
  readonly otlpUrl: string | undefined
}

export async function runningPeer({ url, pid, otlpUrl }: RunningPeer): Promise<Subject> {
  const base = url.replace(/\/$/, '')
  const { places, name, version } = await probe(base, otlpUrl?.replace(/\/$/, ''))
  const cpuSeconds = (): number => cpuSecondsOf(pid)
  cpuSeconds()
  return {
    name,
    version,
    places,
    parts: [],
    cpuSeconds,
    rssBytes: () => rssBytesOf(pid),
    async storedItems(signal) {
      const text = await answerOf(`${base}/metrics`)
      if (text === undefined) return undefined
      const ours = metricIn(text, `sightline_store_items_total{signal="${signal}",result="stored"}`)
      return ours ?? (signal === 'metrics' ? metricIn(text, 'prometheus_tsdb_head_samples_appended_total') : undefined)
    },
    settle: () => quiet({ cpuSeconds }),
    finish: async () => undefined,
  }
}

type Places = Partial<Record<Ability, string>>

async function probe(base: string, otlpUrl: string | undefined): Promise<{ places: Places; name: string; version: string }> {
  const places: Places = {}
  const prometheus = await answerOf(`${base}/api/v1/status/buildinfo`)
  const loki = await answerOf(`${base}/loki/api/v1/status/buildinfo`)
  const tempoBase =
    (await answerOf(`${base}/tempo/api/echo`)) === 'echo'
      ? `${base}/tempo`
      : (await answerOf(`${base}/api/echo`)) === 'echo'
        ? base
        : undefined
  const take = async (ability: Ability, candidates: readonly string[]): Promise<void> => {
    for (const candidate of candidates) {
      if (await isThere(candidate)) {
        places[ability] = candidate
        return
      }
    }
  }
  if (prometheus !== undefined) {
    places.promql = base
    await take('remote-write', [`${base}/api/v1/write`])
    await take('otlp-metrics', [`${base}/api/v1/otlp/v1/metrics`])
  }
  if (loki !== undefined) {
    places.logql = base
    await take('loki-push', [`${base}/loki/api/v1/push`])
    await take('otlp-logs', [`${base}/otlp/v1/logs`])
  }
  if (tempoBase !== undefined) places.traceql = tempoBase
  if (otlpUrl !== undefined || tempoBase !== undefined)
    await take('otlp-traces', [...(otlpUrl === undefined ? [] : [`${otlpUrl}/v1/traces`]), `${base}/v1/traces`])
  const isSightline = (await answerOf(`${base}/-/healthy`))?.startsWith('Sightline') === true
  const name = isSightline
    ? 'peer sightline'
    : prometheus !== undefined
      ? 'peer prometheus'
      : loki !== undefined
        ? 'peer loki'
        : tempoBase !== undefined
          ? 'peer tempo'
          : undefined
  if (name === undefined) throw new Error(`cannot use the peer ${base}: none of the APIs of Prometheus, Loki and Tempo answers there`)
  return { places, name, version: /"version":\s*"([^"]*)"/.exec(prometheus ?? loki ?? '')?.[1] ?? 'unknown' }
}

async function answerOf(url: string): Promise<string | undefined> {
  const response = await fetch(url).catch(() => undefined)
  return response?.ok === true ? response.text() : undefined
}

async function isThere(url: string): Promise<boolean> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/x-protobuf' }, body: '' }).catch(
    () => undefined,
  )
  return response !== undefined && response.status !== 404 && response.status !== 405
}
