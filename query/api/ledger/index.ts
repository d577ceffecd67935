/** `GET /sightline/api/v1/ledger`: where everything that came in is now. For operators: it names producers, whatever their tenant. */
import type { FastifyPluginAsync } from 'fastify'

export function ledgerApi(view: () => Promise<object>): FastifyPluginAsync {
  return async (app) => {
    app.get('/sightline/api/v1/ledger', { config: { permission: 'admin' } }, async () => view())
  }
}
