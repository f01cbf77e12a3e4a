/** Words of the page Gallery. */
export const gallery = {
  title: 'Gallery',
  sub: 'Everything that you have made.',
}
