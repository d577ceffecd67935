/**
 * The Loki HTTP API, as one fastify plugin, mounted at `/loki/api/v1`. It reads; the push route is the receivers'.
 *
 * Times are nanoseconds, seconds or RFC 3339 on every route; GET with a query string or POST with a form. Errors are plain text with Loki's status: what a query may
 * not do is 400, a timeout 504. Queries, but not tails, pass the tenant's gate. `detected_*` and `patterns` are answers from a bounded sample of the newest
 * lines, never from all. Differences to Loki are listed in docs/api.md.
 */
import type { FastifyPluginAsync } from 'fastify'
import type { LokiApiDeps } from './deps.ts'
import { detectedRoutes } from './detected-routes.ts'
import { usePlainErrors } from './errors.ts'
import { labelRoutes } from './label-routes.ts'
import { queryRoutes } from './query-routes.ts'
import { statusRoutes } from './status-routes.ts'
import { tailRoutes } from './tail.ts'

export type { LokiApiDeps } from './deps.ts'

export function lokiApi(deps: LokiApiDeps): FastifyPluginAsync {
  return async (app) => {
    usePlainErrors(app, deps.onError)
    queryRoutes(app, deps)
    labelRoutes(app, deps)
    detectedRoutes(app, deps)
    statusRoutes(app, deps)
    tailRoutes(app, deps)
  }
}
