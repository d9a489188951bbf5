/** What the engine keeps to itself. */
final class Inside {

  private Inside() {}

  @SuppressWarnings("unchecked")
  static <T> T of(final Object owner, final String name) throws ReflectiveOperationException {
    final var field = owner.getClass().getDeclaredField(name);
    field.setAccessible(true);
    return (T) field.get(owner);
  }

  static void replace(final Object owner, final String name, final Object value)
      throws ReflectiveOperationException {
    final var field = owner.getClass().getDeclaredField(name);
    field.setAccessible(true);
    field.set(owner, value);
  }
}
