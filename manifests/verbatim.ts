/** Text for a container's arguments or variables that ends there as it is: the kubelet takes `$(NAME)` for a variable and `$$` for a dollar. */
export function verbatim(text: string): string {
  return text.split('$').join('$$');
}
