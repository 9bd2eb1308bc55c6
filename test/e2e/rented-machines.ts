import { networkInterfaces } from 'node:os'
import { parse } from 'yaml'
import { SimRentedMachines } from '../../src/sim/rented-machines.ts'

export type { Rented } from '../../src/sim/rented-machines.ts'

export class RentedMachines extends SimRentedMachines {
  constructor() {
    super(parse)
  }
}

/** An address of this machine that is not loopback: what is served there is served to others. */
export function addressBeyondLoopback(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const found = all.find(({ internal, family }) => !internal && family === 'IPv4')
  if (!found) throw new Error('This test needs a network interface besides loopback.')
  return found.address
}
