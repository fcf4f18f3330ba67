namespace Nubabel.Store;

/// <summary>
/// An event in a stream that this build cannot make sense of: its stored JSON does not fit its type, or does not fit what stands before it. Another program
/// has written it, or a newer build. Nothing is decided on such a stream, for nobody knows its state.
/// </summary>
public sealed class UnreadableEvent(Recorded envelope, Exception cause)
    : Exception($"Event {envelope.Position} ({envelope.Type}, version {envelope.Version} of {envelope.Stream}) cannot be read.", cause)
{
    public long Position => envelope.Position;
    public string Alias => envelope.Type;
    public string Stream => envelope.Stream;
}
