/**
 * OTLP metrics to rows, as Prometheus' OTLP endpoint translates them with its default settings.
 *
 * Names are made of letters, digits, `_` and `:`, with the unit and `_total` or `_ratio` at the end; the resource's service gives `job` and
 * `instance`, its other attributes a `target_info` series. Cumulative sums, gauges, histograms (classic), exponential histograms (native) and
 * summaries are taken; delta temporality is refused point by point with a reason. Points without a recorded value are stale markers.
 * Start times go along; exemplars keep their trace and span ids. Any bytes give a value or an error of kind `bad_data`.
 */
export { decodeOtlpMetrics, type DecodedMetrics } from './decode.ts'
export { metricNameOf, unitWords } from './name.ts'
