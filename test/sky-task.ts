const sum = '0'.repeat(64)

/** What a machine of the fake API server is told; nothing of it is ever fetched. */
export const skyTask = {
  controlUrl: 'http://127.0.0.1:1',
  controlFingerprint: null,
  agent: { from: ['http://127.0.0.1:1'], bundle: sum, loop: sum, x64: null, arm64: null },
  nodeBin: 'node',
  cpus: null as string | null,
  memoryGib: null as string | null,
  diskGib: null,
  image: null,
  autodown: false,
  directPort: null,
}
