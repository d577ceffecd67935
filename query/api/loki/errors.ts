/** Errors as Loki answers them: the message as plain text. What a query may not do is 400 there, limits too; a timeout is 504. */
import type { FastifyInstance } from 'fastify'
import { errorHeaders } from '../../../lib/http/index.ts'
import { ERROR_KINDS, kindOf, messageOf, SightlineError, type ErrorKind } from '../../../lib/runtime/errors.ts'

export function lokiStatus(kind: ErrorKind): number {
  if (kind === 'too_large' || kind === 'execution') return 400
  return kind === 'timeout' ? 504 : ERROR_KINDS[kind].http
}

export function usePlainErrors(app: FastifyInstance, onError: (error: unknown, where: string) => void): void {
  app.setErrorHandler((error, request, reply) => {
    const status = (error as { statusCode?: number }).statusCode
    const kind = error instanceof SightlineError || status === undefined || status >= 500 ? kindOf(error) : 'bad_data'
    if (kind === 'internal' || kind === 'corruption') onError(error, `${request.method} ${request.url}`)
    void reply.code(lokiStatus(kind)).headers(errorHeaders(error, kind)).type('text/plain; charset=utf-8').send(messageOf(error))
  })
}
