import type { NodeView } from '../../src/wire/views.ts'

type OfferView = NodeView['offer']

/** `2x H100 (p5.4xlarge)`; `CPU` where there is no GPU. */
export function machineOf({ gpu, gpuCount, instanceType }: OfferView): string {
  const gpus = gpu === null ? 'CPU' : gpuCount > 1 ? `${gpuCount}x ${gpu}` : gpu
  return instanceType === undefined ? gpus : `${gpus} (${instanceType})`
}

export const placeOf = ({ cloud, region }: OfferView): string => `${cloud} ${region}`

export const boughtAs = ({ spot }: OfferView): string => (spot ? 'spot' : 'on demand')
