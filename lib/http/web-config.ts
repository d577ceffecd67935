/** Prometheus' web configuration file: TLS of a listener, client certificates, basic users. */
import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import type { SecureVersion, TlsOptions } from 'node:tls'
import { parse } from 'yaml'
import { z } from 'zod'
import { messageOf, SightlineError } from '../runtime/errors.ts'

const version = z.enum(['TLS10', 'TLS11', 'TLS12', 'TLS13'])
const schema = z.strictObject({
  tls_server_config: z
    .strictObject({
      cert: z.string().optional(),
      cert_file: z.string().optional(),
      key: z.string().optional(),
      key_file: z.string().optional(),
      client_ca: z.string().optional(),
      client_ca_file: z.string().optional(),
      client_auth_type: z
        .enum(['NoClientCert', 'RequestClientCert', 'RequireAnyClientCert', 'VerifyClientCertIfGiven', 'RequireAndVerifyClientCert'])
        .default('NoClientCert'),
      client_allowed_sans: z.array(z.string()).default([]),
      min_version: version.default('TLS12'),
      max_version: version.default('TLS13'),
      cipher_suites: z.array(z.string()).optional(),
      curve_preferences: z.array(z.string()).optional(),
      prefer_server_cipher_suites: z.boolean().optional(),
    })
    .optional(),
  http_server_config: z.strictObject({ http2: z.boolean().optional(), headers: z.record(z.string(), z.string()).optional() }).optional(),
  basic_auth_users: z.record(z.string(), z.string()).default({}),
})

export interface WebConfig {
  readonly tls: ListenerTls | undefined
  /** User to bcrypt hash. */
  readonly basicUsers: Readonly<Record<string, string>>
  /** Headers on every answer. */
  readonly headers: Readonly<Record<string, string>>
}

/** What both `https` and gRPC need. */
export interface ListenerTls {
  readonly cert: string
  readonly key: string
  readonly ca: string | undefined
  readonly requestCert: boolean
  readonly rejectUnauthorized: boolean
  readonly options: TlsOptions
}

const NO_WEB_CONFIG: WebConfig = { tls: undefined, basicUsers: {}, headers: {} }

/** Errors: bad_data with the path of what is wrong. */
export function loadWebConfig(path: string | undefined): WebConfig {
  if (path === undefined) return NO_WEB_CONFIG
  let raw: unknown
  try {
    raw = parse(readFileSync(path, 'utf8')) ?? {}
  } catch (error) {
    throw new SightlineError('bad_data', `cannot read web configuration ${path}: ${messageOf(error)}`)
  }
  const parsed = schema.safeParse(raw)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new SightlineError('bad_data', `cannot use web configuration ${path}: ${problems.join('; ')}`)
  }
  const { tls_server_config: tls, basic_auth_users, http_server_config } = parsed.data
  return {
    tls: tls === undefined ? undefined : listenerTls(tls, path),
    basicUsers: basic_auth_users,
    headers: http_server_config?.headers ?? {},
  }
}

type TlsSection = NonNullable<z.output<typeof schema>['tls_server_config']>

function listenerTls(tls: TlsSection, path: string): ListenerTls {
  const read = (inline: string | undefined, file: string | undefined): string | undefined => {
    if (inline !== undefined || file === undefined) return inline
    return readFileSync(isAbsolute(file) ? file : join(dirname(path), file), 'utf8')
  }
  const cert = read(tls.cert, tls.cert_file)
  const key = read(tls.key, tls.key_file)
  if (cert === undefined || key === undefined) {
    throw new SightlineError('bad_data', `cannot use web configuration ${path}: tls_server_config needs a certificate and a key`)
  }
  // Node can demand a certificate that verifies, or take any: what lies between would let a wrong one pass.
  const isBuilt = tls.client_auth_type === 'NoClientCert' || tls.client_auth_type === 'RequireAndVerifyClientCert'
  if (!isBuilt || tls.client_allowed_sans.length > 0) {
    const what = isBuilt ? 'client_allowed_sans' : tls.client_auth_type
    throw new SightlineError('bad_data', `cannot use web configuration ${path}: ${what} is not built yet; RequireAndVerifyClientCert is`)
  }
  const ca = read(tls.client_ca, tls.client_ca_file)
  const requestCert = tls.client_auth_type === 'RequireAndVerifyClientCert'
  const rejectUnauthorized = requestCert
  const nodeVersion = (name: string): SecureVersion => `TLSv1${name === 'TLS10' ? '' : `.${name.at(-1)}`}` as SecureVersion
  return {
    cert,
    key,
    ca,
    requestCert,
    rejectUnauthorized,
    options: {
      cert,
      key,
      ...(ca === undefined ? {} : { ca }),
      requestCert,
      rejectUnauthorized,
      minVersion: nodeVersion(tls.min_version),
      maxVersion: nodeVersion(tls.max_version),
    },
  }
}
