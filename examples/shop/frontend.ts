/** What customers reach: products, baskets, orders; and the switch of the shop, `POST /admin/break?mode=payment` and `POST /admin/mend`. */
import { Counter } from 'prom-client'
import { Refusal, busy, runService } from './service.ts'

const PRODUCTS = [
  { name: 'kettle', euros: 34.9 },
  { name: 'teapot', euros: 52 },
  { name: 'cup', euros: 8.5 },
  { name: 'green tea', euros: 12.4 },
  { name: 'black tea', euros: 9.8 },
  { name: 'whisk', euros: 18.25 },
]

await runService('frontend', ({ registry, log, ask }) => {
  const views = new Counter({
    name: 'shop_product_views_total',
    help: 'Product pages shown.',
    labelNames: ['product'],
    registers: [registry],
  })

  const product = (name: unknown): (typeof PRODUCTS)[number] => {
    const found = PRODUCTS.find((one) => one.name === name)
    if (found === undefined) throw new Refusal(404, `no product "${String(name)}"`)
    return found
  }

  return {
    'GET /': async () => ({ products: PRODUCTS.map(({ name }) => name) }),
    'GET /product': async ({ query }) => {
      await busy(1, 15)
      const shown = product(query.get('name'))
      views.inc({ product: shown.name })
      return shown
    },
    'POST /basket': async ({ body }) => {
      const { name, euros } = product(body['product'])
      return ask('cart', 'POST', '/items', { basket: String(body['basket']), product: name, euros })
    },
    'POST /checkout': async ({ body }) => ask('checkout', 'POST', '/orders', { basket: String(body['basket']) }),
    'POST /admin/break': async ({ query }) => {
      const mode = query.get('mode') ?? 'payment'
      if (mode !== 'payment') throw new Refusal(400, `cannot break "${mode}": the only mode is payment`)
      log('warn', 'breaking', { mode })
      return ask('payment', 'POST', '/admin/break')
    },
    'POST /admin/mend': async () => ask('payment', 'POST', '/admin/mend'),
  }
})
