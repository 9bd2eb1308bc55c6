const whole = new Intl.NumberFormat('en-US')

/** `18,240` */
export const count = (value: number): string => whole.format(value)

/** `1 node`, `18,240 nodes` */
export const counted = (value: number, one: string): string => `${count(value)} ${value === 1 ? one : `${one}s`}`

/** As a sentence begins with them. */
export const machines = (value: number): string => (value === 1 ? 'One machine' : counted(value, 'machine'))
