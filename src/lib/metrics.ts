import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): Counter
  gauge(name: string, help: string, labels?: readonly string[]): Gauge
  /** `bounds` are upper bounds, in the unit that the name ends with. */
  histogram(name: string, help: string, labels: readonly string[], bounds: readonly number[]): Histogram
  /** Everything as it is now, in the Prometheus text format. */
  page(): Promise<{ readonly contentType: string; readonly text: string }>
}

/** Metrics of this process under one prefix. Not the global registry, so that two in one process do not meet. */
export function makeMetrics(prefix: string): Metrics {
  const registry = new Registry()
  const base = (name: string, help: string, labels: readonly string[] = []) => ({
    name: prefix + name,
    help,
    labelNames: [...labels],
    registers: [registry],
  })
  return {
    counter: (name, help, labels) => new Counter(base(name, help, labels)),
    gauge: (name, help, labels) => new Gauge(base(name, help, labels)),
    histogram: (name, help, labels, bounds) => new Histogram({ ...base(name, help, labels), buckets: [...bounds] }),
    page: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}
