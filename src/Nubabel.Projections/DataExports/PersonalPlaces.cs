using System.Text;

namespace Nubabel.Projections.DataExports;

/// <summary>Whose key a sealed value is under.</summary>
/// <param name="Kind">What the subject's name begins with.</param>
/// <param name="Whose">Whose values it seals.</param>
/// <param name="Erasure">What destroys the key, or why nothing does.</param>
/// <param name="IsErased">Whether the erasure of a person destroys it.</param>
public sealed record SubjectKind(string Kind, string Whose, string Erasure, bool IsErased = false);

/// <summary>What becomes of what stands in some places.</summary>
/// <param name="Kinds">The subjects that may seal it; empty where no key does.</param>
/// <param name="Holds">What stands there.</param>
/// <param name="Sections">Where a person finds it in an export; empty where not.</param>
/// <param name="Export">What of it a person is handed over, or why not.</param>
/// <param name="Erasure">What an erasure does to it.</param>
public sealed record Fate(IReadOnlyList<string> Kinds, string Holds, IReadOnlyList<string> Sections, string Export, string Erasure)
{
    public bool IsSealed => Kinds.Count > 0;
}

/// <summary>
/// Every place where text of persons may lie, with what an export hands over of it and what an erasure does to it. Tests find the places in the code and in the schema
/// and fail on one that is not decided on here.
/// </summary>
public static partial class PersonalPlaces
{
    private const string Ours = "nothing: it says nothing of a person";

    public static IReadOnlyList<SubjectKind> Subjects { get; } =
    [
        new("user", "an account", "the erasure of the account", IsErased: true),
        new("invitation", "somebody invited", "the erasure of the account that came of it, or that has its address, once it has ended", IsErased: true),
        new("legal-hold", "whom a legal hold is about", "the erasure of that person, which waits until the hold is lifted", IsErased: true),
        new("operator", "an operator", "nothing: who has had power over the platform stays accountable"),
        new("key", "whoever uses an API key", "nothing: a program of the organization's, no person's"),
        new("sign-in", "whoever tried an address that has no account", "the erasure of the account that has the address", IsErased: true),
        new("webhook", "whoever a provider wrote about", "nothing: each has a key of its own, and nobody knows who is in it"),
        new("breach", "whoever the description of a breach may name", "nothing: the register of breaches is kept as the law demands; each has a key of its own"),
        new("consumer", "nobody: the secret of a consumer", "nothing: no person's"),
    ];

    /// <summary>By their names in <see cref="Places"/>.</summary>
    public static IReadOnlyDictionary<string, Fate> Fates { get; } = new Dictionary<string, Fate>
    {
        ["account"] = new(["user"], "what is sealed for the account", ["profile", "devices", "auditTrail"], "opened", "reads as null, with the account's key"),
        ["visit"] = new(["user", "operator", "key", "sign-in"], "address and agent of who acts", ["sessions", "auditTrail"], "opened, of the person's own acts", "reads as null, with the account's key; acts of others keep theirs"),
        ["invited"] = new(["invitation"], "the address of somebody invited", [], "no: who accepts has it anew in the account", "reads as null, with the invitation's key"),
        ["held"] = new(["legal-hold"], "why somebody's data is kept", [], "no: it is sealed for the hold", "reads as null, with the hold's key"),
        ["operator"] = new(["operator"], "an operator's address", [], "no: the platform's", "stays"),
        ["provider"] = new(["webhook"], "what a provider sent", [], "no: the organization's", "stays; its key can be destroyed by itself"),
        ["register"] = new(["breach"], "what happened in a breach", [], "no: the platform's register; who is affected is told by a notice", "stays; its key can be destroyed by itself"),
        ["letter"] = new(["user", "invitation"], "a letter that waits", ["messages"], "that it waits, not what it says: it may hold a link that sets a password", "deleted, and unreadable with its key"),
        ["swept"] = new([], "may hold what a person sent or was sent, sealed or shortened", [], "no: what it is about stands elsewhere in the export", "deleted"),
        ["passing"] = new([], "is there for as long as somebody works on it", [], "no: gone within minutes", "gone by itself"),
        ["hash"] = new([], "a hash, keyed where it could be guessed", [], "no: look-up keys and hashes of secrets are left out", "stays, and leads to nobody without the root; claims are released"),
        ["secret"] = new([], "a secret of programs, sealed, or a key, wrapped", [], "no: secrets are left out", Ours),
        ["id"] = new([], "ids and numbers, of persons too", ["auditTrail"], "as they are", "stays: an id leads to nothing once what it names is erased"),
        ["words"] = new([], "free words of owners and operators about organizations, flags, letters, reads and breaches; not to be about persons, says the API's page", [], "in the trail, where they mention the person", "stays"),
        ["organization"] = new([], "the organization's own names, addresses of its systems, texts", [], "to its owners, with the organization", Ours),
        ["code"] = new([], "words of the code: kinds, states, names of queues and operations", [], "as they are", Ours),
        ["engine"] = new([], "what the engine notes of itself: faults, progress, signatures over numbers and hashes", [], "no", Ours),
    };

    /// <summary>Each place, and the name of its fate.</summary>
    public static IReadOnlyDictionary<string, string> Places { get; } = All
        .SelectMany(line => line.Places.Split((char[])[' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries).Select(place => KeyValuePair.Create($"{line.What} {place}".Replace("origin ", "origin.", StringComparison.Ordinal), line.Fate)))
        .ToDictionary();

    /// <summary>The page of the documents.</summary>
    public static string Markdown()
    {
        var text = new StringBuilder("""
            # Places of personal data

            Written by `./dev contracts` from [`PersonalPlaces.cs`](../src/Nubabel.Projections/DataExports/PersonalPlaces.cs). A test finds every member of an event, a row or a message that holds a sealed value, every other text that is
            written, and every column of text, bytes or JSON, and fails on one that is not decided on. What it all means is in [privacy.md](privacy.md), [keys.md](keys.md) and [erasure.md](erasure.md).

            ## Subjects

            | subject | whose | what destroys its key |
            |---|---|---|

            """);
        foreach (var subject in Subjects) text.Append(null, $"| `{subject.Kind}-…` | {subject.Whose} | {subject.Erasure} |\n");
        text.Append("\n## What becomes of it\n\n| fate | holds | sealed for | in an export | after an erasure |\n|---|---|---|---|---|\n");
        foreach (var (name, fate) in Fates)
            text.Append(null, $"| {name} | {fate.Holds} | {(fate.IsSealed ? string.Join(", ", fate.Kinds) : "")} | {fate.Export}{(fate.Sections.Count > 0 ? $" (`{string.Join("`, `", fate.Sections)}`)" : "")} | {fate.Erasure} |\n");
        text.Append("\n## Places\n\n| fate | places |\n|---|---|\n");
        foreach (var name in Fates.Keys)
            text.Append(null, $"| {name} | {string.Join(", ", Places.Where(p => p.Value == name).Select(p => $"`{p.Key}`").Order(StringComparer.Ordinal))} |\n");
        return text.ToString();
    }
}
