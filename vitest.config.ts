import { defineConfig } from 'vitest/config'
import { CountReporter } from './test/counts.ts'

// The development machine has two cores, and tests that start real processes wait for a quarter of their time.
const maxWorkers = 3

export default defineConfig({
  test: {
    maxWorkers,
    globalSetup: ['./test/database-server.ts'],
    reporters: ['default', new CountReporter()],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'web/**/*.test.ts',
            'test/*.test.ts',
            'test/tidy/*.test.ts',
            'test/e2e/*.test.ts',
          ],
          // Others may load the machine: only what never ends should reach these.
          testTimeout: 60_000,
          hookTimeout: 90_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'real',
          include: ['test/real/*.test.ts'],
          fileParallelism: false,
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
})
