using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Nubabel.Api.Host.Rates;

namespace Nubabel.Api.Tests.Rates;

public sealed class MeterTests
{
    private static readonly Allowance Usual = new(1200, 300);

    [Fact]
    public async Task Of_a_thousand_at_once_exactly_the_burst_passes()
    {
        for (var round = 0; round < 20; round++)
        {
            var meters = new Meters("user", () => 0);
            using var start = new Barrier(8);
            var passed = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(() =>
            {
                start.SignalAndWait();
                return Enumerable.Range(0, 125).Count(_ => meters.Take(7, Usual).Passed);
            }, TaskCreationOptions.LongRunning)));
            Assert.Equal(300, passed.Sum());
            Assert.Equal(1, meters.Count);
        }
    }

    /// <summary>The plain model: a bucket of whole requests and the time of the next one, filled up before each look.</summary>
    [Fact]
    public void A_meter_lets_in_what_a_plain_bucket_does() => Prop.ForAll(
        Arb.From(from perMinute in Gen.Choose(1, 4000)
                 from burst in Gen.Choose(1, 40)
                 from steps in Gen.ListOf(Gen.Frequency((4, Gen.Constant(0)), (3, Gen.Choose(0, 200)), (1, Gen.Choose(200, 90_000))))
                 select (new Allowance(perMinute, burst), steps.ToArray())),
        given =>
        {
            var (allowance, steps) = given;
            var meter = new Meter(1);
            long now = 0, tokens = allowance.Burst, filledAt = 0;
            foreach (var milliseconds in steps)
            {
                now += milliseconds * TimeSpan.TicksPerMillisecond;
                var fresh = (now - filledAt) / allowance.Interval;
                (tokens, filledAt) = tokens + fresh >= allowance.Burst ? (allowance.Burst, now) : (tokens + fresh, filledAt + fresh * allowance.Interval);
                var passes = tokens > 0;
                if (passes && tokens == allowance.Burst) filledAt = now;
                if (passes) tokens--;
                var taken = meter.Take(allowance, now, out _);
                if (taken.Passed != passes || taken.Remaining != tokens || taken.Wait != filledAt + allowance.Interval - now) return false;
            }
            return true;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void A_request_comes_back_at_the_rate()
    {
        var meter = new Meter(1);
        for (var i = 0; i < 300; i++) Assert.True(meter.Take(Usual, 0, out _).Passed);
        var refused = meter.Take(Usual, 0, out _);
        Assert.Equal((false, 0, TimeSpan.TicksPerMillisecond * 50), (refused.Passed, refused.Remaining, refused.Wait));
        Assert.False(meter.Take(Usual, refused.Wait - 1, out _).Passed);
        Assert.True(meter.Take(Usual, refused.Wait, out _).Passed);
        Assert.False(meter.Take(Usual, refused.Wait, out _).Passed);
    }

    [Fact]
    public void A_clock_that_jumps_back_locks_nobody_out_for_longer_than_a_debt()
    {
        var meter = new Meter(1);
        Assert.True(meter.Take(Usual, TimeSpan.TicksPerDay, out _).Passed);
        Assert.InRange(meter.Take(Usual, 0, out _).Wait, 0, Meter.LongestDebt + Usual.Interval);
        Assert.True(meter.Take(Usual, Meter.LongestDebt + Usual.Interval, out _).Passed);
    }

    [Fact]
    public void What_other_nodes_spent_is_taken_off_and_owed_for_no_longer_than_a_minute()
    {
        var meter = new Meter(1);
        meter.Charge(Usual.Interval * 299, 0);
        Assert.True(meter.Take(Usual, 0, out _).Passed);
        Assert.False(meter.Take(Usual, 0, out _).Passed);
        meter.Charge(long.MaxValue, 0);
        meter.Charge(-5, 0);
        Assert.Equal(Meter.LongestDebt + Usual.Interval, meter.Take(Usual, 0, out _).Wait);
    }

    [Fact]
    public void A_key_is_told_of_from_a_quarter_of_its_burst_on_and_with_all_it_has_spent()
    {
        var meters = new Meters("user", () => 0);
        for (var i = 0; i < 75; i++) meters.Take(1, Usual);
        Assert.Empty(meters.Tell());
        meters.Take(1, Usual);
        meters.Take(1, Usual);
        meters.Take(2, Usual);
        Assert.Equal([((UInt128)1, 77 * Usual.Interval)], meters.Tell());
        Assert.Empty(meters.Tell());
    }

    [Fact]
    public void What_is_given_back_can_be_taken_again()
    {
        var meters = new Meters("user", () => 0);
        var one = new Allowance(60, 1);
        Assert.True(meters.Take(1, one).Passed);
        Assert.False(meters.Take(1, one).Passed);
        meters.Return(1, one);
        Assert.True(meters.Take(1, one).Passed);
        meters.Return(9, one);
        Assert.True(meters.Take(9, one).Passed);
    }

    [Fact]
    public void A_flood_of_new_keys_stays_within_the_bound_and_frees_nobody_who_has_spent()
    {
        long now = 0;
        var meters = new Meters("address", () => now, bound: 1000);
        var allowance = new Allowance(300, 300);
        for (var i = 0; i < 300; i++) meters.Take(UInt128.MaxValue, allowance);
        for (var i = 0; i < 20_000; i++)
        {
            now += TimeSpan.TicksPerMillisecond;
            Assert.True(meters.Take((UInt128)i, allowance).Passed);
            Assert.InRange(meters.Count, 1, 1000);
        }
        // 20 s later: 100 of its 300 have come back.
        var passed = Enumerable.Range(0, 300).Count(_ => meters.Take(UInt128.MaxValue, allowance).Passed);
        Assert.Equal(100, passed);
    }

    [Theory]
    [InlineData("203.0.113.7", "203.0.113.7", true)]
    [InlineData("203.0.113.7", "::ffff:203.0.113.7", true)]
    [InlineData("203.0.113.7", "203.0.113.8", false)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [InlineData("::", "0.0.0.0", false)]
    public void An_IPv4_address_is_one_caller_and_so_is_a_network_of_64_bits(string one, string other, bool same)
    {
        var keys = new AddressKeys(new byte[32]);
        Assert.Equal(same, keys.Of(IPAddress.Parse(one)) == keys.Of(IPAddress.Parse(other)));
        Assert.NotEqual(keys.Of(IPAddress.Parse(one)), new AddressKeys(Enumerable.Repeat((byte)1, 32).ToArray()).Of(IPAddress.Parse(one)));
    }

    [Theory]
    [InlineData(1200, 300, null, 1200, 300)]
    [InlineData(1200, 300, 120, 120, 30)]
    [InlineData(1200, 300, 1, 1, 1)]
    [InlineData(6000, 1500, 60_000, 60_000, 15_000)]
    [InlineData(0, 300, 120, 120, 30)]
    [InlineData(1200, 300, 0, 1200, 300)]
    public void An_organizations_own_rate_has_a_burst_in_proportion(int perMinute, int burst, int? own, int ownPerMinute, int ownBurst) =>
        Assert.Equal(new Allowance(ownPerMinute, ownBurst), new Allowance(perMinute, burst).Or(own));

    [Fact]
    public void A_rate_is_never_exceeded_by_rounding()
    {
        foreach (var perMinute in (int[])[1, 7, 300, 1200, 999_999, 1_000_000])
        {
            var allowance = new Allowance(perMinute, 1);
            Assert.True(allowance.Interval * perMinute >= TimeSpan.TicksPerMinute);
            Assert.True((allowance.Interval - 1) * perMinute < TimeSpan.TicksPerMinute);
        }
    }
}
