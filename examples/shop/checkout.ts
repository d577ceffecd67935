/** Turns a basket into an order: reads the basket, has it charged, forgets it. */
import { Counter, Histogram } from 'prom-client'
import { busy, runService } from './service.ts'
import { traceIds } from './telemetry.ts'

await runService('checkout', ({ registry, log, ask }) => {
  const orders = new Counter({ name: 'shop_orders_total', help: 'Orders by outcome.', labelNames: ['outcome'], registers: [registry] })
  // A counter that begins at its first failure would hide that failure from rate().
  for (const outcome of ['placed', 'failed']) orders.inc({ outcome }, 0)
  const value = new Histogram({
    name: 'shop_basket_value_euros',
    help: 'What ordered baskets were worth.',
    buckets: [5, 10, 20, 50, 100, 200, 500],
    enableExemplars: true,
    registers: [registry],
  })

  return {
    'POST /orders': async ({ body }) => {
      const id = String(body['basket'])
      try {
        const basket = await ask('cart', 'GET', `/basket?id=${encodeURIComponent(id)}`)
        const euros = Number(basket['euros'])
        const { receipt } = await ask('payment', 'POST', '/charge', { basket: id, euros })
        await busy(2, 10)
        await ask('cart', 'POST', '/forget', { basket: id })
        orders.inc({ outcome: 'placed' })
        value.observe({ labels: {}, value: euros, exemplarLabels: traceIds() })
        log('info', 'order placed', { basket: id, items: Number(basket['items']), value_euros: euros, receipt: String(receipt) })
        return { basket: id, euros, receipt }
      } catch (error) {
        orders.inc({ outcome: 'failed' })
        log('error', 'order failed', { basket: id, error: (error as Error).message })
        throw error
      }
    },
  }
})
