/** The two OTLP listeners beside the main server: gRPC and HTTP. */
import { startHttpServer, type HttpServerOptions } from '../../lib/http/index.ts'
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import type { OtlpExport } from './otlp-export.ts'
import { startOtlpGrpc } from './otlp-grpc.ts'
import { otlpHttpRoutes } from './otlp-http.ts'

export interface ListenerOptions extends Pick<HttpServerOptions, 'web' | 'authenticator' | 'bodyBytesMax' | 'requestsMax' | 'onError'> {
  readonly grpc: HttpServerOptions['listen']
  readonly http: HttpServerOptions['listen']
}

export interface Listeners {
  readonly grpcUrl: string
  readonly httpUrl: string
  /** Calls in work end first; five seconds at most. */
  close(): Promise<void>
}

/** Errors: unavailable where an address is taken; then neither listens. */
export async function startListeners(run: OtlpExport, prefixes: readonly string[], options: ListenerOptions): Promise<Listeners> {
  const { web, authenticator, bodyBytesMax } = options
  const grpc = await startOtlpGrpc(run, { listen: options.grpc, tls: web.tls, authenticator, messageBytesMax: bodyBytesMax })
  try {
    const http = await startHttpServer({ ...options, listen: options.http, raw: otlpHttpRoutes(prefixes, run), plugins: [] })
    return {
      grpcUrl: `${web.tls === undefined ? 'http' : 'https'}://${options.grpc.host}:${grpc.port}`,
      httpUrl: http.url,
      async close() {
        await Promise.all([grpc.close(), http.close()])
      },
    }
  } catch (error) {
    await grpc.close(0)
    const { host, port } = options.http
    throw new SightlineError('unavailable', `cannot listen for OTLP HTTP on ${host}:${port}: ${messageOf(error)}`, { cause: error })
  }
}
