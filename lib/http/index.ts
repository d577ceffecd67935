/**
 * HTTP, both ways: one server with raw ingest routes ahead of fastify, authentication, tenants, TLS; and one client.
 *
 * Every way in is the same: `identify` the credentials, find the tenant, check the permission. A fastify route says what it needs
 * in `config: { permission }` (default read); a raw route in its declaration. Errors carry a kind (`lib/runtime/errors.ts`) that
 * one table maps to a status; each API wraps them in its own envelope. Bodies, requests in work and parameters are bounded.
 */
export { createAuthenticator, tenantOf, type Authenticator, type Identity, type Permission } from './auth.ts'
export { BodyBuffer, decompress } from './body.ts'
export { createHttpClient, retryAfterOf, type HttpAnswer, type HttpClient, type HttpRequest } from './client.ts'
export {
  abortOnClose,
  errorHeaders,
  ingestStatus,
  paramsOf,
  startHttpServer,
  type HttpServer,
  type HttpServerOptions,
  type RawAnswer,
  type RawRequest,
  type RawRoute,
} from './server.ts'
export { checkTenant, DEFAULT_TENANT, TENANT_HEADER } from './tenant.ts'
export { loadWebConfig, type ListenerTls, type WebConfig } from './web-config.ts'
