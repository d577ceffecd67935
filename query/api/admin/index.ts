/**
 * What operators ask of the process itself: `/-/healthy`, `/-/ready`, `/-/reload`, `/metrics`. Health and readiness need no credentials; reload needs
 * admin.
 */
import type { FastifyPluginAsync } from 'fastify'

export interface AdminDeps {
  /** What the process waits for, '' when it is ready. */
  readonly waiting: () => string
  readonly reload: () => Promise<void>
  /** Prometheus text of our own metrics. */
  readonly metrics: () => Promise<string>
}

export function adminApi({ waiting, reload, metrics }: AdminDeps): FastifyPluginAsync {
  return async (app) => {
    app.get('/-/healthy', { config: { permission: 'none' } }, async (_request, reply) =>
      reply.type('text/plain').send('Sightline is Healthy.\n'),
    )

    app.get('/-/ready', { config: { permission: 'none' } }, async (_request, reply) => {
      const reason = waiting()
      if (reason === '') return reply.type('text/plain').send('Sightline is Ready.\n')
      return reply.code(503).header('retry-after', '1').type('text/plain').send(`${reason}\n`)
    })

    app.route({
      method: ['POST', 'PUT'],
      url: '/-/reload',
      config: { permission: 'admin' },
      handler: async (_request, reply) => {
        await reload()
        return reply.send('')
      },
    })

    app.get('/metrics', async (_request, reply) => reply.type('text/plain; version=0.0.4; charset=utf-8').send(await metrics()))
  }
}
