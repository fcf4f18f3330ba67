using System.Diagnostics;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Configuration;
using Microsoft.FeatureManagement;
using Microsoft.FeatureManagement.FeatureFilters;
using Nubabel.Api.Flags;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Organizations;
using Nubabel.Store;

namespace Nubabel.Bench;

/// <summary>
/// Flags as requests evaluate them, with counting, beside Microsoft.FeatureManagement with its targeting filter on the same 200 flags: 50 each with an
/// allow list of 20, a percentage, a block list and then everybody, and (ours) an override.
/// </summary>
internal sealed class FlagsBench : IBench
{
    private const int Flags = 200;
    private const int Organizations = 100;
    private const int Many = 200_000;
    private const int Listed = 20;
    private const int Batch = 2_000;
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(1200);
    private static readonly TimeSpan Each = TimeSpan.FromMilliseconds(1500);
    private static readonly string[] Kinds = ["allow", "percentage", "block", "override"];

    private readonly Guid[] organizations = [.. Enumerable.Range(0, Organizations).Select(_ => Guid.CreateVersion7())];
    private readonly string[] keys = [.. Enumerable.Range(0, Flags).Select(i => $"{Kinds[i % Kinds.Length]}.{i}")];

    public string Name => "flags";
    public string What => $"{Flags} flags, {Organizations} organizations, one thread";

    public async Task<Report> Run(CancellationToken ct)
    {
        var rows = new List<string[]>();
        var numbers = new Dictionary<string, double>();
        var ours = Ours();
        var theirs = Theirs();
        // One kind after the other, ours and theirs in turn, so that a slow moment of the machine meets both.
        foreach (var kind in Kinds.Append("mixed"))
        {
            var asked = kind == "mixed" ? keys : [.. keys.Where(k => k.StartsWith(kind, StringComparison.Ordinal))];
            Add(kind, "Nubabel", Measure(i => ours.Evaluate(asked[i % asked.Length], organizations[i / 7 % Organizations]).Enabled, ct));
            if (kind != "override") Add(kind, "Microsoft.FeatureManagement", await Measure(theirs, asked, ct));
        }
        var fresh = Ours();
        Guid[] many = [.. Enumerable.Range(0, Many).Select(_ => Guid.CreateVersion7())];
        Add("percentage, not remembered", "Nubabel", Measure(i => fresh.Evaluate(keys[1 + 4 * (i % (Flags / 4))], many[i % Many]).Enabled, ct));
        return new Report(
            ["evaluation", "of", "M/s per core", "ns each", "bytes each"], rows, numbers,
            string.Create(System.Globalization.CultureInfo.InvariantCulture, $"\"Not remembered\": {Many:N0} organizations with 50 flags, where the 65,536 pairs whose bucket is kept are soon taken, so that nearly each evaluation is a SHA-256."),
            $"Microsoft.FeatureManagement {typeof(FeatureManager).Assembly.GetName().Version}: FeatureManager on in-memory configuration, ContextualTargetingFilter, memory cache, no logger. It has no overrides.");

        void Add(string kind, string of, (double PerSecond, double Bytes) measured)
        {
            rows.Add([kind, of, Report.Number(measured.PerSecond / 1e6), Report.Number(1e9 / measured.PerSecond, "0"), Report.Number(measured.Bytes, "0.##")]);
            numbers[$"{kind}/{of}/per_second"] = measured.PerSecond;
            numbers[$"{kind}/{of}/bytes"] = measured.Bytes;
        }
    }

    private static (double PerSecond, double Bytes) Measure(Func<int, bool> evaluate, CancellationToken ct)
    {
        Round(evaluate, WarmUp, ct);
        return Round(evaluate, Each, ct);
    }

    private static (double PerSecond, double Bytes) Round(Func<int, bool> evaluate, TimeSpan time, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        var (done, on) = (0, 0);
        var (bytes, cpu, watch) = (GC.GetAllocatedBytesForCurrentThread(), Environment.CpuUsage.TotalTime, Stopwatch.StartNew());
        while (watch.Elapsed < time)
            for (var i = 0; i < Batch; i++)
                if (evaluate(done++)) on++;
        // By the processor's time, so that others on the machine do not count.
        var took = Environment.CpuUsage.TotalTime - cpu;
        bytes = GC.GetAllocatedBytesForCurrentThread() - bytes;
        return on <= done ? (done / took.TotalSeconds, (double)bytes / done) : throw new InvalidOperationException();
    }

    private async Task<(double PerSecond, double Bytes)> Measure(FeatureManager theirs, string[] asked, CancellationToken ct)
    {
        TargetingContext[] contexts = [.. organizations.Select(o => new TargetingContext { UserId = o.ToString(), Groups = [] })];
        await Round(WarmUp);
        return await Round(Each);

        async Task<(double, double)> Round(TimeSpan time)
        {
            ct.ThrowIfCancellationRequested();
            var (done, on) = (0, 0);
            // It completes at once, so this stays on one thread; the whole process's bytes would be the same.
            var (bytes, cpu, watch) = (GC.GetAllocatedBytesForCurrentThread(), Environment.CpuUsage.TotalTime, Stopwatch.StartNew());
            while (watch.Elapsed < time)
                for (var i = 0; i < Batch; i++, done++)
                    if (await theirs.IsEnabledAsync(asked[done % asked.Length], contexts[done / 7 % Organizations])) on++;
            var took = Environment.CpuUsage.TotalTime - cpu;
            return (done / took.TotalSeconds, (double)(GC.GetAllocatedBytesForCurrentThread() - bytes) / done);
        }
    }

    /// <summary>The node's own object, fed with events as the tail feeds it.</summary>
    private Evaluation Ours()
    {
        const string nowhere = "Host=127.0.0.1;Username=nobody";
        var evaluation = new Evaluation(new Node(Database.Open("main", nowhere, nowhere), new MasterKeys(new MasterKey(new byte[32])), new RootKey(new byte[32]), new Signal(), TimeProvider.System));
        foreach (var key in keys)
        {
            var version = 0;
            foreach (var e in Events(key))
                evaluation.OnEvent(new Recorded
                {
                    Position = 0,
                    Tenant = Node.Platform,
                    Stream = $"flag-{key}",
                    Version = ++version,
                    Type = "",
                    Data = e,
                    At = TimeProvider.System.GetUtcNow(),
                });
        }
        evaluation.CaughtUp();
        if (evaluation.Keys.Count() != Flags) throw new InvalidOperationException("The flags are not all there.");
        return evaluation;
    }

    private IEnumerable<Event<Flag>> Events(string key)
    {
        var listed = organizations.Take(Listed).Select(o => new Id<Organization>(o)).ToArray();
        yield return new FlagCreated(FlagKey.Parse(key), true);
        if (key.StartsWith("allow", StringComparison.Ordinal)) yield return new FlagRuleAdded(new FlagRule(new Id<FlagRule>(Guid.CreateVersion7()), FlagRuleType.Allow, listed));
        if (key.StartsWith("block", StringComparison.Ordinal)) yield return new FlagRuleAdded(new FlagRule(new Id<FlagRule>(Guid.CreateVersion7()), FlagRuleType.Block, listed));
        if (key.StartsWith("override", StringComparison.Ordinal))
            foreach (var organization in organizations)
                yield return new FlagOverrideSet(new Id<Organization>(organization), true, TimeProvider.System.GetUtcNow().AddHours(1));
        yield return new FlagRuleAdded(new FlagRule(new Id<FlagRule>(Guid.CreateVersion7()), FlagRuleType.Percentage, null, Percentage.Of(ShareOf(key))));
    }

    /// <summary>The same flags, said in its words.</summary>
    private FeatureManager Theirs()
    {
        var settings = new Dictionary<string, string?>();
        foreach (var key in keys)
        {
            var filter = $"feature_management:feature_flags:{Array.IndexOf(keys, key)}";
            settings[$"{filter}:id"] = key;
            settings[$"{filter}:enabled"] = "true";
            settings[$"{filter}:conditions:client_filters:0:name"] = "Microsoft.Targeting";
            var audience = $"{filter}:conditions:client_filters:0:parameters:Audience";
            settings[$"{audience}:DefaultRolloutPercentage"] = Report.Number((double)ShareOf(key), "0.##");
            var list = key.StartsWith("allow", StringComparison.Ordinal) ? "Users" : key.StartsWith("block", StringComparison.Ordinal) ? "Exclusion:Users" : null;
            for (var i = 0; list is not null && i < Listed; i++) settings[$"{audience}:{list}:{i}"] = organizations[i].ToString();
        }
        return new FeatureManager(new ConfigurationFeatureDefinitionProvider(new ConfigurationBuilder().AddInMemoryCollection(settings).Build()))
        {
            FeatureFilters = [new ContextualTargetingFilter()],
            // As AddFeatureManagement() sets it up; without it the settings are parsed at each evaluation.
            Cache = new MemoryCache(new MemoryCacheOptions()),
        };
    }

    // Each kind ends in a percentage: none for the lists that allow, half for a rollout, all for those that block.
    private static decimal ShareOf(string key) => key[0] switch { 'a' => 0, 'b' => 100, _ => 50 };
}
