/** Words of the page Canvas. */
export const canvas = {
  title: 'Canvas',
  sub: 'Paint, repair and compose.',
}
