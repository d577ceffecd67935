/** How we reach somebody over HTTP: Prometheus' `<http_config>`, shared by scraping, discovery, remote write and notifications. */
import { z } from 'zod'
import { secret } from './values.ts'

export const tlsConfig = z.strictObject({
  ca: z.string().optional(),
  ca_file: z.string().optional(),
  cert: z.string().optional(),
  cert_file: z.string().optional(),
  key: secret.optional(),
  key_file: z.string().optional(),
  server_name: z.string().optional(),
  insecure_skip_verify: z.boolean().default(false),
  min_version: z.enum(['TLS10', 'TLS11', 'TLS12', 'TLS13']).optional(),
  max_version: z.enum(['TLS10', 'TLS11', 'TLS12', 'TLS13']).optional(),
})

export const httpClientShape = {
  basic_auth: z
    .strictObject({
      username: z.string().optional(),
      username_file: z.string().optional(),
      password: secret.optional(),
      password_file: z.string().optional(),
    })
    .optional(),
  authorization: z
    .strictObject({ type: z.string().default('Bearer'), credentials: secret.optional(), credentials_file: z.string().optional() })
    .optional(),
  bearer_token: secret.optional(),
  bearer_token_file: z.string().optional(),
  tls_config: tlsConfig.optional(),
  follow_redirects: z.boolean().default(true),
  enable_http2: z.boolean().optional(),
  http_headers: z
    .record(
      z.string(),
      z.strictObject({
        values: z.array(z.string()).optional(),
        secrets: z.array(secret).optional(),
        files: z.array(z.string()).optional(),
      }),
    )
    .optional(),
  proxy_url: z.string().optional(),
}

export const httpClientConfig = z.strictObject(httpClientShape)
export type HttpClientConfig = z.output<typeof httpClientConfig>
export type TlsConfig = z.output<typeof tlsConfig>
