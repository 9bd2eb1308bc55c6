import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Stands between readers and the control plane. What the plane says passes at that pace on each connection. */
export interface NarrowLine {
  readonly url: string
  close(): Promise<void>
}

const tickMs = 20

export async function layNarrowLine(targetUrl: string, bytesPerSecond: number): Promise<NarrowLine> {
  const ends = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(new URL(targetUrl).port), '127.0.0.1')
    near.pipe(far)
    const pace = setInterval(() => {
      const piece = far.read(Math.min(far.readableLength, (bytesPerSecond * tickMs) / 1_000)) as Buffer | null
      if (piece) near.write(piece)
    }, tickMs)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        clearInterval(pace)
        ends.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      for (const end of ends) end.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
