using System.Text.RegularExpressions;

namespace Nubabel.Tidy.Tests;

/// <summary>The style as functions from a source to what is wrong with it, each as <c>path:line what</c>. RuleTests proves that each can fail.</summary>
public static partial class Rules
{
    public const int MaximumFileLines = 300;
    public const int MaximumMemberLines = 50;

    private static readonly (string Pattern, string Instead, Func<string, bool> Where)[] Banned =
    [
        (@"\bDateTime(Offset)?\.(Utc)?Now\b", "a TimeProvider, or Context.Now in a decision", _ => true),
        (@"\bDateTime\.Today\b", "a TimeProvider", _ => true),
        (@"\bThread\.Sleep\b", "a signal with a bound", _ => true),
        (@"\.Result\b(?!\s*[=(<])", "await", _ => true),
        (@"\.Wait\(\s*\)", "await", _ => true),
        // A test server is stopped as the process ends, where nothing can be awaited.
        (@"\.GetAwaiter\(\)\s*\.GetResult\(\)", "await", path => path.StartsWith("src/", StringComparison.Ordinal)),
        (@"\basync\s+void\b", "async Task", _ => true),
        (@"\bGuid\.(NewGuid|CreateVersion7)\b", "an id from the edge", InDomain),
        (@"\bTimeProvider\b|\bStopwatch\b", "Context.Now", InDomain),
        (@"\bRandom(NumberGenerator)?\b", "a value from the edge", InDomain),
        (@"\bEnvironment\.(?!NewLine)|\bConsole\b|\b(File|Directory|HttpClient|Socket)\.|\bTask\b|\bawait\b", "a pure function", InDomain),
    ];

    private static readonly string[] BannedWords = ["Helper", "Manager", "Service", "Util", "Utils", "Utility", "Utilities", "Dto", "Impl", "Common", "Shared", "Infrastructure"];

    public static IEnumerable<string> Calls(Source source) =>
        from rule in Banned
        where rule.Where(source.Path)
        from Match call in Regex.Matches(source.Code, rule.Pattern)
        select $"{source.Path}:{source.LineOf(call.Index)} {call.Value.Trim()}: use {rule.Instead}";

    /// <summary>A test that waits for a time waits too long or too short; one that polls has a bound.</summary>
    public static IEnumerable<string> Delays(Source source) =>
        from member in Declarations.Members(source)
        from Match delay in Delay().Matches(member.Code)
        where !Bounded().IsMatch(member.Code)
        select $"{source.Path}:{member.Line + member.Code.AsSpan(0, delay.Index).Count('\n')} a delay without a bound: wait on a signal, or poll until a deadline";

    /// <summary>Words that say nothing about what a thing is, in the names of types, files, folders and namespaces.</summary>
    public static IEnumerable<string> Names(Source source)
    {
        foreach (var type in Declarations.Types(source))
            if (IsBanned(type.Name)) yield return $"{source.Path}:{type.Line} {type.Name}: name it for what it does";
        foreach (var part in source.Path.Split('/', '.'))
            if (IsBanned(part)) yield return $"{source.Path} {part}: name it for what it does";
    }

    public static IEnumerable<string> Sizes(Source source)
    {
        var lines = source.Text.Count(c => c == '\n');
        if (lines > MaximumFileLines) yield return $"{source.Path} has {lines} lines: more than {MaximumFileLines}";
        foreach (var member in Declarations.Members(source))
            if (member.Lines > MaximumMemberLines) yield return $"{source.Path}:{member.Line} has {member.Lines} lines: more than {MaximumMemberLines}";
    }

    /// <summary>Public types without a summary. Events and commands are exempt where <paramref name="selfEvident"/> says so: their name is the sentence.</summary>
    public static IEnumerable<string> Summaries(IEnumerable<Source> sources, Func<string, bool> selfEvident) =>
        from source in sources
        from type in Declarations.Types(source)
        where type.Public && !selfEvident(type.Name)
        group (type, documented: HasSummary(source, type.Line)) by type.Name into parts
        where !parts.Any(p => p.documented)
        select $"{parts.First().type.Source.Path}:{parts.First().type.Line} {parts.Key} has no summary";

    /// <summary>Indexes without a comment that says which query they serve.</summary>
    public static IEnumerable<string> Indexes(Source schema)
    {
        var lines = schema.Text.Split('\n');
        for (var i = 0; i < lines.Length; i++)
            if (CreateIndex().IsMatch(lines[i]) && (i == 0 || !lines[i - 1].TrimStart().StartsWith("--", StringComparison.Ordinal)))
                yield return $"{schema.Path}:{i + 1} an index without the comment that says what it is for";
    }

    /// <summary>What sees every tenant, named where one tenant's requests are served. Commands are typed at the machine and serve no request; projections are the operators'.</summary>
    public static IEnumerable<string> PlatformAccess(Source source) =>
        from Match name in Platform().Matches(source.Code)
        where TenantSlice().Match(source.Path) is { Success: true } slice && slice.Groups[1].Value is not ("Host" or "Operators" or "Projections" or "Messages" or "Admin" or "Commands")
        select $"{source.Path}:{source.LineOf(name.Index)} {name.Value} in a tenant's slice";

    /// <summary>Files whose opened values reach nobody else than whom they belong to, or are told by an event of their own; with the reason.</summary>
    public static IReadOnlyDictionary<string, string> UnrecordedReads { get; } = new Dictionary<string, string>
    {
        ["Audit/"] = "the list shows with a reader that tells what it has found with one that does not; an export is an event",
        ["Breaches/AffectedPeople.cs"] = "finds ids",
        ["Breaches/BreachLetters.cs"] = "a letter goes to its addressee",
        ["Breaches/BreachNotifications.cs"] = "asks how far the log is",
        ["Breaches/BreachWatch.cs"] = "looks at times",
        ["Commands/"] = "at the machine, by who holds its keys",
        ["Consumers/"] = "deliveries to endpoints of the organization, and their secrets",
        ["DataExports/"] = "an export is an event, and so is each download",
        ["Host/Mail/Post.cs"] = "a letter goes to its addressee",
        ["Host/Node.cs"] = "makes the readers",
        ["Host/RequestScope.cs"] = "makes the readers that tell",
        ["Invitations/InvitationsApi.cs"] = "the invited person's own address goes into the own account",
        ["Invitations/MemberLimit.cs"] = "counts",
        ["Operators/OperatorJobsApi.cs"] = "jobs hold no personal values",
        ["Operators/OperatorsApi.cs"] = "operators are listed at the machine",
        ["Organizations/Closures.cs"] = "closes what is due",
        ["Sessions/LiveSessions.cs"] = "ends sessions",
        ["Users/"] = "the person's own address",
        ["Webhooks/"] = "secrets of sources, and payloads for their handlers",
    };

    /// <summary>Readers and openings that no record of reads hears of.</summary>
    public static IEnumerable<string> SilentReads(Source source) =>
        from Match use in SilentRead().Matches(source.Code)
        where source.Path.StartsWith("src/Nubabel.Api/", StringComparison.Ordinal) && !UnrecordedReads.Keys.Any(k => source.Path["src/Nubabel.Api/".Length..].StartsWith(k, StringComparison.Ordinal))
        select $"{source.Path}:{source.LineOf(use.Index)} opens values that no event tells of: take the reader of the request's scope";

    /// <summary>Relative links of a document that lead nowhere.</summary>
    public static IEnumerable<string> Links(Source document, Func<string, bool> exists) =>
        from Match link in Link().Matches(Fenced().Replace(document.Text, m => new string('\n', m.Value.Count(c => c == '\n'))))
        let target = link.Groups[1].Value.Split('#')[0]
        where target.Length > 0 && !target.Contains("://", StringComparison.Ordinal) && !target.StartsWith("mailto:", StringComparison.Ordinal)
        let path = target.StartsWith('/') ? target[1..] : Combined(document.Folder, Uri.UnescapeDataString(target))
        where !exists(path)
        select $"{document.Path} links to {target}, which is not there";

    private static bool InDomain(string path) => path.StartsWith("src/Nubabel.Domain/", StringComparison.Ordinal);

    private static bool IsBanned(string name) => Words().Matches(name).Any(w => BannedWords.Contains(w.Value));

    private static bool HasSummary(Source source, int line)
    {
        var lines = source.Text.Split('\n');
        for (var i = line - 2; i >= 0; i--)
        {
            var above = lines[i].Trim();
            if (above.StartsWith("///", StringComparison.Ordinal)) return true;
            if (!above.StartsWith('[') && above.Length > 0) return false;
        }
        return false;
    }

    private static string Combined(string folder, string target)
    {
        var parts = new List<string>(folder.Split('/', StringSplitOptions.RemoveEmptyEntries));
        foreach (var part in target.Split('/'))
        {
            if (part == ".." && parts.Count > 0) parts.RemoveAt(parts.Count - 1);
            else if (part is not ("." or "")) parts.Add(part);
        }
        return string.Join('/', parts);
    }

    [GeneratedRegex(@"\bTask\.Delay\((?!\s*Timeout\.Infinite)")]
    private static partial Regex Delay();

    // A bound is named so; jitter that provokes orders is random and waits for nothing.
    [GeneratedRegex(@"deadline|timeout|elapsed|\buntil\b|CancelAfter|RequestAborted|\brandom\b", RegexOptions.IgnoreCase)]
    private static partial Regex Bounded();

    [GeneratedRegex("[A-Z]+(?![a-z])|[A-Z][a-z]*")]
    private static partial Regex Words();

    [GeneratedRegex(@"^\s*create\s+(unique\s+)?index\b", RegexOptions.IgnoreCase)]
    private static partial Regex CreateIndex();

    [GeneratedRegex(@"\bPlatform(Reader|Writer)\b|\.Daemon\b|\bNubabelDaemon\b")]
    private static partial Regex Platform();

    [GeneratedRegex(@"\bnode\.(Node\.)?(Reader|Open)\(|\bnew Reader\(|\bUnsealing\.", RegexOptions.IgnoreCase)]
    private static partial Regex SilentRead();

    [GeneratedRegex("^src/Nubabel.Api/([^/]+)/")]
    private static partial Regex TenantSlice();

    [GeneratedRegex(@"\[[^\]]*\]\(([^)\s]+)[^)]*\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"^```.*?^```|`[^`\n]*`", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fenced();
}
