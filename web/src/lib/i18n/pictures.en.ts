/** Words of the page Pictures. */
export const pictures = {
  title: 'Pictures',
  sub: 'The pictures that your generators learn from.',
}
