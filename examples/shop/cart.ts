/** Keeps the baskets, in memory. */
import { Gauge } from 'prom-client'
import { Refusal, busy, runService } from './service.ts'

interface Basket {
  items: number
  euros: number
}

/** The oldest basket goes when there are more. */
const BASKETS_MAX = 10_000

await runService('cart', ({ registry }) => {
  const baskets = new Map<string, Basket>()
  const open = new Gauge({
    name: 'shop_baskets_open',
    help: 'Baskets that were neither ordered nor forgotten.',
    registers: [registry],
    collect() {
      this.set(baskets.size)
    },
  })
  open.set(0)

  const named = (id: unknown): [string, Basket] => {
    const basket = baskets.get(String(id))
    if (basket === undefined) throw new Refusal(404, `no basket ${String(id)}`)
    return [String(id), basket]
  }

  return {
    'POST /items': async ({ body }) => {
      await busy(1, 8)
      const id = String(body['basket'])
      const basket = baskets.get(id) ?? { items: 0, euros: 0 }
      baskets.set(id, basket)
      basket.items++
      basket.euros = Math.round((basket.euros + Number(body['euros'])) * 100) / 100
      const oldest = baskets.keys().next()
      if (baskets.size > BASKETS_MAX && oldest.done !== true) baskets.delete(oldest.value)
      return { basket: id, ...basket }
    },
    'GET /basket': async ({ query }) => {
      await busy(1, 5)
      const [id, basket] = named(query.get('id'))
      return { basket: id, ...basket }
    },
    'POST /forget': async ({ body }) => {
      const [id] = named(body['basket'])
      baskets.delete(id)
      return { basket: id }
    },
  }
})
