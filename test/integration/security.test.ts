/** One process with TLS, a basic user and tokens: who may do what is the same for every way in, and tenants never see each other. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { credentials, Metadata } from '@grpc/grpc-js'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { BatchSpanProcessor, TracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace'
import { hashSync } from 'bcryptjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHttpClient, type HttpAnswer, type HttpClient } from '../../lib/http/index.ts'
import { encodeWriteV1 } from '../../lib/wire/remote-write/index.ts'
import { snappyEncode } from '../../lib/wire/snappy/index.ts'
import { eventually } from '../harness/eventually.ts'
import { SightlineProcess } from '../harness/sightline.ts'

const SECRETS = { read: 'secret-read-1', write: 'secret-write-1', two: 'secret-two', admin: 'secret-admin', password: 'secret-password' }
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
const READ_1 = bearer(SECRETS.read)
const WRITE_1 = bearer(SECRETS.write)
const TWO = bearer(SECRETS.two)
const ADMIN = bearer(SECRETS.admin)
const BASIC = { authorization: `Basic ${Buffer.from(`grafana:${SECRETS.password}`).toString('base64')}` }

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const nowMs = Date.now()
const seconds = Math.floor(nowMs / 1000)
const range = `start=${seconds - 600}&end=${seconds + 60}`

/** Reading, by API. */
const READS = {
  'Prometheus query': `/api/v1/query?query=kept&time=${seconds + 1}`,
  'Prometheus range': `/api/v1/query_range?query=kept&${range}&step=15`,
  'Prometheus series': `/api/v1/series?match[]=kept&${range}`,
  'Prometheus labels': `/prometheus/api/v1/label/owner/values?${range}`,
  'Loki query': `/loki/api/v1/query_range?query=${encodeURIComponent('{app="kept"}')}&${range}`,
  'Loki labels': `/loki/api/v1/labels?${range}`,
  'Tempo search': `/tempo/api/search?q=${encodeURIComponent('{}')}&${range}`,
  'Tempo trace': `/tempo/api/traces/${TRACE}`,
  'Jaeger services': '/jaeger/api/services',
  'Jaeger trace': `/jaeger/api/traces/${TRACE}`,
} as const

const isJson = (path: string): boolean => !path.startsWith('/tempo') && !path.startsWith('/loki')

describe('a Sightline with TLS, a basic user and tokens', () => {
  let folder: string
  let sightline: SightlineProcess
  let client: HttpClient
  let certificate: Buffer

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sightline-security-'))
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
    const flags = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', ...subject]
    execFileSync('openssl', [...flags, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    certificate = readFileSync(cert)
    const web = join(folder, 'web.yml')
    const hash = hashSync(SECRETS.password, 4)
    writeFileSync(web, `tls_server_config: { cert_file: cert.pem, key_file: key.pem }\nbasic_auth_users: { grafana: '${hash}' }\n`)
    writeFileSync(join(folder, 'two.token'), `${SECRETS.two}\n`)
    sightline = await SightlineProcess.create({
      config: `self: { scrape: false, traces: false }
server:
  web_config_file: ${web}
  tokens:
    - { name: read-1, token: ${SECRETS.read}, tenants: [t1], permissions: [read] }
    - { name: write-1, token: ${SECRETS.write}, tenants: [t1], permissions: [write] }
    - { name: two, token_file: ${join(folder, 'two.token')}, tenants: [t2], permissions: [read, write] }
    - { name: admin, token: ${SECRETS.admin}, tenants: ['*'], permissions: [read, write, admin] }
`,
    })
    await sightline.start()
    client = createHttpClient({ tls_config: { ca: certificate.toString(), insecure_skip_verify: false } })
  }, 60_000)

  afterAll(async () => {
    client?.close()
    await sightline?.dispose()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  const urlOf = (path: string, port = sightline.ports.http): string => `https://127.0.0.1:${port}${path}`
  const get = (path: string, headers: Record<string, string> = {}): Promise<HttpAnswer> =>
    client.request(urlOf(path), { headers, timeoutMs: 10_000, bodyBytesMax: 1 << 22 })
  const post = (url: string, body: string | Uint8Array, headers: Record<string, string>): Promise<HttpAnswer> =>
    client.request(url, { method: 'POST', body, headers, timeoutMs: 10_000, bodyBytesMax: 1 << 22 })

  const writes = (owner: string): Record<string, (headers: Record<string, string>) => Promise<HttpAnswer>> => ({
    'remote write': (headers) => {
      const labels = ['__name__', 'kept', 'job', 'j', 'owner', owner]
      return post(urlOf('/api/v1/write'), snappyEncode(encodeWriteV1([{ labels, times: [nowMs], values: [1] }])), headers)
    },
    'Loki push': (headers) => {
      const stream = { stream: { app: 'kept', owner }, values: [[`${nowMs}000000`, `a line of ${owner}`]] }
      return post(urlOf('/loki/api/v1/push'), JSON.stringify({ streams: [stream] }), { 'content-type': 'application/json', ...headers })
    },
    'OTLP HTTP': (headers) => {
      const time = `${nowMs}000000`
      const span = {
        traceId: TRACE,
        spanId: 'b7ad6b7169203331',
        name: `span of ${owner}`,
        kind: 2,
        startTimeUnixNano: time,
        endTimeUnixNano: time,
      }
      const resource = { attributes: [{ key: 'service.name', value: { stringValue: `service-${owner}` } }] }
      const body = JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 's' }, spans: [span] }] }] })
      return post(urlOf('/v1/traces', sightline.ports.otlpHttp), body, { 'content-type': 'application/json', ...headers })
    },
  })

  /** Exports one span over gRPC; resolves with the status code, 0 for taken. */
  const exportGrpc = async (headers: Record<string, string>): Promise<number> => {
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
    const url = `https://127.0.0.1:${sightline.ports.grpc}`
    const inner = new OTLPTraceExporter({ url, metadata, credentials: credentials.createSsl(certificate), timeoutMillis: 5000 })
    let code = -1
    const exporter: SpanExporter = {
      export: (spans, done) =>
        inner.export(spans, (result) => {
          code = result.code === 0 ? 0 : ((result.error as { code?: number } | undefined)?.code ?? -1)
          done(result)
        }),
      forceFlush: async () => {},
      shutdown: () => inner.shutdown(),
    }
    const provider = new TracerProvider({ spanProcessors: [new BatchSpanProcessor({ exporter })] })
    provider.getTracer('grpc').startSpan('over grpc').end()
    await provider.shutdown().catch(() => {})
    return code
  }

  test('health needs no credentials, and nothing is answered without TLS', async () => {
    expect((await get('/-/healthy')).status).toBe(200)
    expect((await get('/-/ready')).status).toBe(200)
    await expect(fetch(`http://127.0.0.1:${sightline.ports.http}/-/healthy`)).rejects.toThrow('fetch failed')
  })

  test.each(Object.entries(READS))('%s: 401 without or with wrong credentials, 403 for others', async (_name, path) => {
    const wrongBasic = { authorization: `Basic ${Buffer.from('grafana:wrong').toString('base64')}` }
    const wrongUser = { authorization: `Basic ${Buffer.from(`nobody:${SECRETS.password}`).toString('base64')}` }
    for (const headers of [{}, bearer('wrong'), bearer(''), wrongBasic, wrongUser]) {
      const answer = await get(path, headers)
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toContain('Basic')
      expect(refusalOf(path, answer)).toMatch(/^cannot /)
    }
    for (const headers of [WRITE_1, { ...READ_1, 'x-scope-orgid': 't2' }, { ...BASIC, 'x-scope-orgid': 't1' }]) {
      const answer = await get(path, headers)
      expect(answer.status).toBe(403)
      expect(refusalOf(path, answer)).toMatch(/^cannot /)
    }
    const severalTenants = await get(path, { ...ADMIN, 'x-scope-orgid': 't1|t2' })
    expect(severalTenants.status).toBe(400)
    expect(refusalOf(path, severalTenants)).toContain('several tenants')
  })

  test.each(['remote write', 'Loki push', 'OTLP HTTP'])(
    '%s: 401 without credentials, 403 for a reader and another tenant',
    async (name) => {
      const write = writes('nobody')[name]!
      expect((await write({})).status).toBe(401)
      expect((await write(bearer('wrong'))).status).toBe(401)
      expect((await write(READ_1)).status).toBe(403)
      expect((await write({ ...WRITE_1, 'x-scope-orgid': 't2' })).status).toBe(403)
      expect((await write({ ...ADMIN, 'x-scope-orgid': 't1|t2' })).status).toBe(400)
      expect((await write({ ...ADMIN, 'x-scope-orgid': '../t1' })).status).toBe(400)
    },
  )

  test('OTLP over gRPC and TLS: UNAUTHENTICATED, PERMISSION_DENIED, taken', async () => {
    expect(await exportGrpc({})).toBe(16)
    expect(await exportGrpc(READ_1)).toBe(7)
    expect(await exportGrpc({ ...WRITE_1, 'x-scope-orgid': 't2' })).toBe(7)
    expect(await exportGrpc(WRITE_1)).toBe(0)
  }, 60_000)

  test('what a tenant wrote is its own in all signals, under the same names and trace ids', async () => {
    for (const [name, write] of Object.entries(writes('t1'))) expect([name, (await write(WRITE_1)).status < 300]).toEqual([name, true])
    const texts = async (headers: Record<string, string>): Promise<Record<string, string>> => {
      const entries = Object.entries(READS).map(async ([name, path]) => [name, (await get(path, headers)).body.toString()] as const)
      return Object.fromEntries(await Promise.all(entries))
    }
    await eventually(async () => {
      const own = await texts(READ_1)
      for (const name of ['Prometheus query', 'Prometheus series', 'Prometheus labels', 'Loki query'])
        expect([name, own[name]]).toEqual([name, expect.stringContaining('t1')])
      for (const name of ['Tempo search', 'Jaeger services', 'Jaeger trace'])
        expect([name, own[name]]).toEqual([name, expect.stringContaining('service-t1')])
      expect((await get(READS['Tempo trace'], READ_1)).status).toBe(200)
    })
    for (const headers of [TWO, BASIC, { ...ADMIN, 'x-scope-orgid': 't2' }, ADMIN]) {
      for (const [name, text] of Object.entries(await texts(headers))) {
        expect([name, text]).toEqual([name, expect.not.stringContaining('t1')])
      }
      expect((await get(READS['Tempo trace'], headers)).status).toBe(404)
    }
    for (const write of Object.values(writes('t2'))) expect((await write(TWO)).status).toBeLessThan(300)
    await eventually(async () => {
      const other = await texts(TWO)
      for (const name of ['Prometheus query', 'Loki query', 'Tempo search', 'Jaeger trace']) {
        expect([name, other[name]]).toEqual([name, expect.stringContaining('t2')])
        expect([name, other[name]]).toEqual([name, expect.not.stringContaining('service-t1')])
      }
    })
    const own = await texts(READ_1)
    for (const [name, text] of Object.entries(own)) expect([name, text]).toEqual([name, expect.not.stringMatching(/"t2"|service-t2|of t2/)])
  }, 60_000)

  test('what nodes ask of each other is for credentials of all tenants, the ledger for admins', async () => {
    const shardQuery = (token: string): Promise<HttpAnswer> =>
      post(urlOf('/sightline/api/v1/shard/query'), Buffer.from('x'), {
        authorization: `Bearer ${token}`,
        'content-type': 'application/octet-stream',
      })
    expect((await shardQuery(SECRETS.read)).status).toBe(403)
    expect((await shardQuery(SECRETS.admin)).status).toBe(400)
    for (const path of ['/sightline/api/v1/shard/status', '/sightline/api/v1/ledger']) {
      expect((await get(path)).status).toBe(401)
      expect((await get(path, { authorization: `Bearer ${SECRETS.read}` })).status).toBe(403)
      expect((await get(path, { authorization: `Bearer ${SECRETS.admin}` })).status).toBe(200)
    }
  })

  test('the configuration and reloading are for admins', async () => {
    for (const headers of [READ_1, WRITE_1]) expect((await get('/api/v1/status/config', headers)).status).toBe(403)
    expect((await post(urlOf('/-/reload'), '', READ_1)).status).toBe(403)
    expect((await post(urlOf('/-/reload'), '', {})).status).toBe(401)
    expect((await post(urlOf('/-/reload'), '', ADMIN)).status).toBe(200)
  })

  test('secrets are neither in the configuration it shows, nor in metrics, nor in what the process prints', async () => {
    const config = (await get('/api/v1/status/config', ADMIN)).body.toString()
    expect(config).toContain('read-1')
    const metrics = (await get('/metrics', ADMIN)).body.toString()
    const { output } = sightline
    expect(output).toContain('Sightline is ready')
    for (const secret of [...Object.values(SECRETS), 'BEGIN PRIVATE KEY']) {
      for (const text of [config, metrics, output]) expect(text).not.toContain(secret)
    }
  })
})

/**
 * What a refusal says, read as the API's clients read it: Prometheus' and Jaeger's in JSON, Loki's and Tempo's as plain text. Undefined where it isn't in
 * that envelope.
 */
function refusalOf(path: string, { status, body, headers }: HttpAnswer): string | undefined {
  const text = body.toString()
  if (!isJson(path)) return headers['content-type']?.startsWith('text/plain') ? text : undefined
  const json = JSON.parse(text) as { status?: string; error?: string; errorType?: string; errors?: { code: number; msg: string }[] }
  if (path.startsWith('/jaeger')) return json.errors?.[0]?.code === status ? json.errors[0].msg : undefined
  return json.status === 'error' && json.errorType !== undefined ? json.error : undefined
}
