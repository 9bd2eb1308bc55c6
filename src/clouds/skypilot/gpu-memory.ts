/**
 * GiB of one GPU, by SkyPilot's names, as the makers' data sheets say; price lists of some clouds come without.
 * Memory only: what a card is worth otherwise is no business of a price list.
 */
const gpuMemoryGib: Readonly<Record<string, number>> = {
  A10: 24,
  A100: 40,
  'A100-80GB': 80,
  'A100-80GB-SXM': 80,
  A10G: 24,
  A6000: 48,
  B200: 180,
  B300: 288,
  GH200: 96,
  H100: 80,
  'H100-SXM': 80,
  'H100-NVL': 94,
  H200: 141,
  'H200-SXM': 141,
  L4: 24,
  L40: 48,
  L40S: 48,
  MI300X: 192,
  P100: 16,
  RTX3090: 24,
  RTX4090: 24,
  RTX5090: 32,
  'RTX6000-Ada': 48,
  RTX6000Ada: 48,
  RTXA6000: 48,
  RTXPRO6000: 96,
  T4: 16,
  V100: 16,
  'V100-32GB': 32,
}

/** Zero where nobody knows. */
export const memoryOfGpu = (name: string, listedGib: number): number =>
  gpuMemoryGib[name] ?? Math.max(0, Math.floor(listedGib))
