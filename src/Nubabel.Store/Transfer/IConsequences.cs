namespace Nubabel.Store;

/// <summary>What follows from the log beside the read models, and stands in tables of its own: whoever writes to the log must write it too.</summary>
public interface IConsequences
{
    /// <summary>Whether streams like this one ever hold claims.</summary>
    bool HoldsClaims(string stream);

    /// <summary>The claims that a stream holds after this history.</summary>
    IReadOnlyList<ClaimValue> ClaimsOf(string stream, IReadOnlyList<Recorded> history);

    /// <summary>The slug under which the directory knows the event's tenant from this event on; null where it says nothing of it.</summary>
    string? SlugOf(LoggedEvent e);
}
