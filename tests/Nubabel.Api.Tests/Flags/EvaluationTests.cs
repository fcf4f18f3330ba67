using FsCheck;
using FsCheck.Fluent;
using Nubabel.Api.Flags;
using Nubabel.Domain;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Organizations;
using Nubabel.Projections.Flags;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Flags;

/// <summary>What a flag is for an organization, without a server.</summary>
public sealed class EvaluationTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);
    private static readonly Id<Organization> Acme = new(new Guid("019a2b3c-4d5e-7f60-8123-456789abcdef"));
    private static readonly Id<Organization> Bolt = new(new Guid("019a2b3c-4d5e-7f60-8123-456789abcdee"));
    private static readonly EvaluationCounts Counts = new();

    public static TheoryData<string, string, int> Vectors()
    {
        var vectors = new TheoryData<string, string, int>();
        foreach (var line in File.ReadLines(Repository.At("docs", "flags.md")))
            if (line.Split('|', StringSplitOptions.TrimEntries).Select(cell => cell.Trim('`')).ToArray() is [_, var key, var organization, _, var bucket, _] && Guid.TryParse(organization, out _))
                vectors.Add(key, organization, int.Parse(bucket, System.Globalization.CultureInfo.InvariantCulture));
        return vectors;
    }

    [Theory]
    [MemberData(nameof(Vectors))]
    public void A_bucket_is_the_documented_one(string key, string organization, int bucket) => Assert.Equal(bucket, Buckets.Of(key, Guid.Parse(organization)));

    [Fact]
    public void There_are_ten_vectors() => Assert.Equal(10, Vectors().Count);

    [Fact]
    public void Raising_a_percentage_never_removes_an_organization() =>
        Prop.ForAll((from key in Gen.Elements("dark-mode", "a", "billing.v2")
                     from organization in Gen.Choose(int.MinValue, int.MaxValue)
                     from low in Gen.Choose(0, Percentage.MaximumHundredths)
                     from high in Gen.Choose(low, Percentage.MaximumHundredths)
                     select (key, organization: new Guid(organization, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), low, high)).ToArbitrary(),
            c => !Of(Row(c.key, Share(c.low)), c.organization).Enabled || Of(Row(c.key, Share(c.high)), c.organization).Enabled).Check(Config.QuickThrowOnFailure.WithMaxTest(1_000));

    [Fact]
    public void A_percentage_is_the_share_of_organizations_that_it_says()
    {
        var flag = Row("dark-mode", Share(2_500));
        Assert.InRange(Enumerable.Range(0, 10_000).Count(n => Of(flag, new Guid(n, 0, 0, new byte[8])).Enabled), 2_300, 2_700);
        Assert.All(Enumerable.Range(0, 1_000), n => Assert.False(Of(Row("dark-mode", Share(0)), new Guid(n, 0, 0, new byte[8])).Enabled));
        Assert.All(Enumerable.Range(0, 1_000), n => Assert.True(Of(Row("dark-mode", Share(10_000)), new Guid(n, 0, 0, new byte[8])).Enabled));
    }

    [Fact]
    public void A_disabled_flag_beats_overrides() =>
        Assert.Equal(new FlagValue(false, FlagReason.Disabled), Of(Row("a") with { Enabled = false, Overrides = [new FlagOverride(Acme, true)] }));

    [Fact]
    public void An_override_beats_rules() =>
        Assert.Equal(new FlagValue(true, FlagReason.Override), Of(Row("a", Block(Acme)) with { Overrides = [new FlagOverride(Acme, true)] }));

    [Theory]
    [InlineData(1, FlagReason.Override)]
    [InlineData(0, FlagReason.Rule)]
    [InlineData(-1, FlagReason.Rule)]
    public void An_override_counts_until_it_expires(int seconds, FlagReason reason) =>
        Assert.Equal(new FlagValue(reason == FlagReason.Override, reason), Of(Row("a", Block(Acme)) with { Overrides = [new FlagOverride(Acme, true, Noon.AddSeconds(seconds))] }));

    [Fact]
    public void The_first_rule_that_matches_decides()
    {
        Assert.Equal(new FlagValue(false, FlagReason.Rule), Of(Row("a", Allow(Bolt), Block(Acme), Allow(Acme))));
        Assert.Equal(new FlagValue(true, FlagReason.Rule), Of(Row("a", Share(0), Allow(Acme), Block(Acme))));
    }

    [Fact]
    public void Without_rules_a_flag_is_on_for_all() => Assert.Equal(new FlagValue(true, FlagReason.Default), Of(Row("a")));

    [Fact]
    public void With_rules_of_which_none_matches_it_is_off()
    {
        Assert.Equal(new FlagValue(false, FlagReason.Default), Of(Row("a", Allow(Bolt))));
        Assert.Equal(new FlagValue(false, FlagReason.Default), Of(Row("a", Block(Bolt))));
        Assert.Equal(new FlagValue(false, FlagReason.Default), Of(Row("a", Share(0))));
    }

    [Fact]
    public void An_evaluation_allocates_nothing()
    {
        var counts = new EvaluationCounts(64);
        var flag = new CompiledFlag(Row("dark-mode", Block(Bolt), Share(5_000)) with { Overrides = [new FlagOverride(Bolt, true, Noon.AddDays(1))] }, counts.TallyOf(FlagKey.Parse("dark-mode")));
        var time = new At(Noon);
        Evaluate(100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Evaluate(10_000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Evaluate(int times)
        {
            for (var i = 0; i < times; i++)
            {
                // Some find a cell, some find the table full; some are hashed, one has an override.
                var organization = i % 50 == 0 ? Bolt.Value : new Guid(i % 200, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8);
                var cell = counts.Find(flag.Tally, organization);
                counts.Add(flag.Tally, cell, flag.Evaluate(organization, time, counts, cell).Enabled);
            }
        }
    }

    [Fact]
    public async Task Every_evaluation_is_counted_once_also_by_many_at_a_time()
    {
        var counts = new EvaluationCounts(1_024);
        var tally = counts.TallyOf(FlagKey.Parse("a"));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(() =>
        {
            for (var i = 0; i < 20_000; i++) counts.Add(tally, counts.Find(tally, new Guid(i % 20, 0, 0, new byte[8])), i % 4 == 0);
        })));
        var seen = counts.Take();
        Assert.Equal((40_000, 120_000, 20), (seen.Sum(e => e.Enabled), seen.Sum(e => e.Disabled), seen.Count));
        Assert.All(seen, e => Assert.Equal(("a", 8_000), (e.Flag, e.Enabled + e.Disabled)));
    }

    [Fact]
    public void What_finds_no_room_is_counted_without_its_organization()
    {
        var counts = new EvaluationCounts(16);
        var tally = counts.TallyOf(FlagKey.Parse("a"));
        for (var i = 0; i < 100; i++) counts.Add(tally, counts.Find(tally, new Guid(i, 0, 0, new byte[8])), true);
        var seen = counts.Take();
        Assert.Equal((100, 17, 84), (seen.Sum(e => e.Enabled), seen.Count, seen.Single(e => e.Tenant == "*DEFAULT*").Enabled));
    }

    [Fact]
    public void What_is_settled_is_not_taken_again_and_what_is_not_is()
    {
        var counts = new EvaluationCounts(16);
        var tally = counts.TallyOf(FlagKey.Parse("a"));
        Count(40);
        Assert.Equal(40, Taken());
        Assert.Equal(40, Taken());
        Count(7);
        // Counted after the take, so it is with the next one.
        counts.Settle();
        Assert.Equal(7, Taken());
        counts.Settle();
        Assert.Empty(counts.Take());
        counts.Settle();
        Count(1);
        Assert.Equal(1, Taken());

        void Count(int times)
        {
            for (var i = 0; i < times; i++) counts.Add(tally, counts.Find(tally, new Guid(i, 0, 0, new byte[8])), i % 2 == 0);
        }

        long Taken() => counts.Take().Sum(e => e.Enabled + e.Disabled);
    }

    [Fact]
    public async Task Nothing_is_lost_between_takes_while_others_count()
    {
        var counts = new EvaluationCounts(64);
        var tally = counts.TallyOf(FlagKey.Parse("a"));
        var kept = 0L;
        var counting = Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(() =>
        {
            for (var i = 0; i < 50_000; i++) counts.Add(tally, counts.Find(tally, new Guid(i % 200, 0, 0, new byte[8])), true);
        })));
        while (!counting.IsCompleted) Keep();
        await counting;
        Keep();
        Assert.Equal(200_000, kept);

        void Keep()
        {
            kept += counts.Take().Sum(e => e.Enabled);
            counts.Settle();
        }
    }

    private static FlagValue Of(FlagRow row, Guid? organization = null)
    {
        var flag = new CompiledFlag(row, Counts.TallyOf(row.Key));
        var whose = organization ?? Acme.Value;
        // With a remembered bucket and without one it is the same.
        var value = flag.Evaluate(whose, new At(Noon), Counts, Counts.Find(flag.Tally, whose));
        Assert.Equal(value, flag.Evaluate(whose, new At(Noon), Counts, -1));
        return value;
    }

    private static FlagRow Row(string key, params FlagRule[] rules) => new(FlagKey.Parse(key), rules, FlagStatus.Active, true, Noon, Noon, [], null, null);
    private static FlagRule Allow(Id<Organization> organization) => new(default, FlagRuleType.Allow, [organization]);
    private static FlagRule Block(Id<Organization> organization) => new(default, FlagRuleType.Block, [organization]);
    private static FlagRule Share(int hundredths) => new(default, FlagRuleType.Percentage, null, Percentage.Of(hundredths / 100m));

    private sealed class At(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
