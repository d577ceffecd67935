/**
 * Compensated (Neumaier) summation, with the state in one object that is reused: the exact steps Prometheus' `kahansum.Inc`
 * takes, so that sums are equal to the last bit. The sum is `sum + compensation`.
 */
export class KahanSum {
  sum = 0
  compensation = 0

  reset(sum = 0, compensation = 0): void {
    this.sum = sum
    this.compensation = compensation
  }

  add(value: number): void {
    const { sum } = this
    const total = sum + value
    if (total === Infinity || total === -Infinity) this.compensation = 0
    else if (Math.abs(sum) >= Math.abs(value)) this.compensation += sum - total + value
    else this.compensation += value - total + sum
    this.sum = total
  }
}
