import { expect, test } from 'vitest'
import { plainText } from './plain-text.ts'

test('escape codes and marks that turn the writing around are shown and do nothing', () => {
  expect(plainText('\u001b[31mred\u001b[0m\u0007')).toBe('\\x1b[31mred\\x1b[0m\\x07')
  expect(plainText('a\u202eb\u200bc\u007f')).toBe('a<U+202E>b<U+200B>c\\x7f')
  expect(plainText('tab\tand\nline')).toBe('tab\tand\nline')
})

test('markup stays as it was written: whoever draws it draws text', () => {
  expect(plainText('<script>alert(1)</script>')).toBe('<script>alert(1)</script>')
})

test('a line of a megabyte is cut, and says by how much', () => {
  const shown = plainText('\u001b<b>'.repeat(250_000))
  expect(shown.length).toBeLessThan(2 * 4_200)
  expect(shown).toMatch(/ … and 995,904 more characters$/)
})
