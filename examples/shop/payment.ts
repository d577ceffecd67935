/** Takes the money. `POST /admin/break` makes half of the charges fail and all of them slow; `POST /admin/mend` ends that. */
import { Counter, Gauge } from 'prom-client'
import { Refusal, busy, runService } from './service.ts'

await runService('payment', ({ registry, log }) => {
  let isBroken = false
  const charged = new Counter({ name: 'shop_charged_euros_total', help: 'Money charged.', registers: [registry] })
  const broken = new Gauge({ name: 'shop_payment_broken', help: '1 while the switch is on.', registers: [registry] })
  broken.set(0)

  const turn = (on: boolean): void => {
    isBroken = on
    broken.set(on ? 1 : 0)
    log('warn', on ? 'the card network stopped answering' : 'the card network answers again')
  }

  return {
    'POST /charge': async ({ body }) => {
      const euros = Number(body['euros'])
      if (!(euros > 0)) throw new Refusal(400, `cannot charge "${String(body['euros'])}": not an amount`)
      await (isBroken ? busy(300, 900) : busy(5, 40))
      if (isBroken && Math.random() < 0.5) throw new Refusal(500, 'cannot charge the card: the card network timed out')
      charged.inc(euros)
      return { receipt: crypto.randomUUID(), euros }
    },
    'POST /admin/break': async () => (turn(true), { broken: true }),
    'POST /admin/mend': async () => (turn(false), { broken: false }),
  }
})
