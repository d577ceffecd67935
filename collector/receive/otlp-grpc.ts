/**
 * OTLP over gRPC. Messages are passed through undecoded: the request's bytes go the way of an HTTP body. Owner of `@grpc/grpc-js`.
 */
import {
  Metadata,
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { TENANT_HEADER, tenantOf, type Authenticator, type ListenerTls } from '../../lib/http/index.ts'
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import type { ReceivedSignal } from './counters.ts'
import { responseProtobuf, type OtlpExport } from './otlp-export.ts'
import { otlpStatusOf, statusProtobuf } from './otlp-status.ts'

export interface GrpcOptions {
  readonly listen: { readonly host: string; readonly port: number }
  /** Without it the listener is plain. */
  readonly tls: ListenerTls | undefined
  readonly authenticator: Authenticator
  /** Largest message, decompressed. */
  readonly messageBytesMax: number
}

export interface GrpcListener {
  readonly port: number
  /** Takes no new call, lets those in work end, and cuts them after `graceMs`. */
  close(graceMs?: number): Promise<void>
}

const GRACE_MS = 5000
const SERVICES: Readonly<Record<ReceivedSignal, string>> = {
  traces: 'trace.v1.TraceService',
  logs: 'logs.v1.LogsService',
  metrics: 'metrics.v1.MetricsService',
}

/** Errors: unavailable where the address can't be listened on. */
export async function startOtlpGrpc(run: OtlpExport, options: GrpcOptions): Promise<GrpcListener> {
  const server = new Server({
    'grpc.max_receive_message_length': options.messageBytesMax,
    // Long-lived clients behind a balancer reconnect now and then, so that new nodes get their share.
    'grpc.max_connection_age_ms': 10 * 60_000,
    'grpc.max_connection_age_grace_ms': 60_000,
  })
  for (const signal of Object.keys(SERVICES) as ReceivedSignal[]) {
    server.addService(definitionOf(SERVICES[signal]), implementationOf(run, signal, options.authenticator))
  }
  const { host, port } = options.listen
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentialsOf(options.tls), (error, actual) => {
      if (error === null) resolve(actual)
      else reject(new SightlineError('unavailable', `cannot listen for OTLP gRPC on ${address}: ${messageOf(error)}`, { cause: error }))
    })
  })
  return { port: bound, close: (graceMs = GRACE_MS) => drain(server, graceMs) }
}

function drain(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), graceMs)
    server.tryShutdown(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

const asBuffer = (bytes: Buffer): Buffer => bytes

function definitionOf(service: string): ServiceDefinition {
  return {
    export: {
      path: `/opentelemetry.proto.collector.${service}/Export`,
      requestStream: false,
      responseStream: false,
      requestSerialize: asBuffer,
      requestDeserialize: asBuffer,
      responseSerialize: asBuffer,
      responseDeserialize: asBuffer,
    },
  }
}

function implementationOf(run: OtlpExport, signal: ReceivedSignal, authenticator: Authenticator): UntypedServiceImplementation {
  const answer = async (call: ServerUnaryCall<Buffer, Buffer>): Promise<Buffer> => {
    const identity = await authenticator.identify(textOf(call.metadata, 'authorization'))
    const tenant = tenantOf(identity, textOf(call.metadata, TENANT_HEADER), 'write')
    return responseProtobuf(await run('otlp_grpc', signal, tenant, call.request))
  }
  return {
    export: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
      answer(call).then(
        (response) => reply(null, response),
        (error: unknown) => {
          const status = otlpStatusOf(error)
          const metadata = new Metadata()
          metadata.set('grpc-status-details-bin', statusProtobuf(status))
          reply({ code: status.grpc, details: status.message, metadata })
        },
      )
    },
  }
}

function textOf(metadata: Metadata, name: string): string | undefined {
  const value = metadata.get(name)[0]
  return value === undefined ? undefined : value.toString()
}

function credentialsOf(tls: ListenerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure()
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) }
  return ServerCredentials.createSsl(tls.ca === undefined ? null : Buffer.from(tls.ca), [pair], tls.requestCert && tls.rejectUnauthorized)
}
