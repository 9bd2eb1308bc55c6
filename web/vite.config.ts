import { join } from 'node:path'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

const root = import.meta.dirname

export default defineConfig({
  root,
  plugins: [react()],
  build: {
    outDir: join(root, '..', 'dist', 'web'),
    target: 'es2023',
    // The policy of the page lets in files of its own address and nothing else, so no data: address either.
    assetsInlineLimit: 0,
    // In one file: a page whose looks did not come once would never ask for them again.
    cssCodeSplit: false,
    sourcemap: false,
    reportCompressedSize: false,
    rolldownOptions: {
      // In one file, so that what is said to the schema library first is also run first.
      output: { codeSplitting: { groups: [{ name: 'wire', test: /[\\/](src[\\/](wire|core)|zod)[\\/]/ }] } },
    },
  },
})
