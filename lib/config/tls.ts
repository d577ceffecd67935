/** A `tls_config` as Node's options of a connection; files are read each time, so that rotation needs no reload. */
import { readFileSync } from 'node:fs'
import type { ConnectionOptions, SecureVersion } from 'node:tls'
import type { TlsConfig } from './http-client.ts'
import { revealSecret } from './values.ts'

export function tlsOptions(tls: TlsConfig | undefined): ConnectionOptions {
  if (tls === undefined) return {}
  const read = (inline: string | undefined, file: string | undefined): string | undefined =>
    inline ?? (file === undefined ? undefined : readFileSync(file, 'utf8'))
  const options: Record<string, unknown> = {
    ca: read(tls.ca, tls.ca_file),
    cert: read(tls.cert, tls.cert_file),
    key: revealSecret(tls.key, tls.key_file),
    servername: tls.server_name,
    minVersion: nodeVersion(tls.min_version),
    maxVersion: nodeVersion(tls.max_version),
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return { ...given, rejectUnauthorized: !tls.insecure_skip_verify }
}

function nodeVersion(name: string | undefined): SecureVersion | undefined {
  return name === undefined ? undefined : (`TLSv1${name === 'TLS10' ? '' : `.${name.at(-1)}`}` as SecureVersion)
}
