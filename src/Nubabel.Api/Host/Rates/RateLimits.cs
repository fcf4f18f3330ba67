using System.Runtime.InteropServices;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;

namespace Nubabel.Api.Host.Rates;

/// <summary>
/// How many requests are let in. Whoever shows a valid credential spends the allowance of the user or key, then the organization's, before anything is
/// looked up, remembered or done; whoever shows none, where none is needed, spends the address's. Wrong credentials spend an allowance of the address
/// that nothing else depends on: nobody can use up another's limit without a credential, and a right one is never refused for the wrong ones beside it.
/// A webhook's signature counts as its credential, and spends the allowance of its source.
/// </summary>
public sealed class RateLimits
{
    private readonly Limits limits;
    private readonly Standings standings;
    private readonly AddressKeys addresses;
    private readonly Meters people, organizations, anonymous, wrong, senders;

    public RateLimits(Node node, Settings settings, Standings standings)
    {
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(settings);
        (limits, this.standings) = (settings.Limits, standings);
        addresses = new AddressKeys(node.Root.Derive("limits"));
        // Since the start, by the clock that is never set: a limit must not care what time it is.
        var start = node.Time.GetTimestamp();
        long Clock() => node.Time.GetElapsedTime(start).Ticks;
        All = [people = new("user", Clock), organizations = new("organization", Clock), anonymous = new("address", Clock), wrong = new("credential", Clock), senders = new("webhook", Clock)];
    }

    /// <summary>In the order in which notes to other nodes number them.</summary>
    internal IReadOnlyList<Meters> All { get; }

    /// <summary>Stands before the credential check: meters those who show none, and those whose credential is wrong.</summary>
    public async Task Invoke(HttpContext context, RequestDelegate next)
    {
        var endpoint = context.GetEndpoint();
        if (endpoint?.Metadata.GetMetadata<Unlimited>() is not null)
        {
            await next(context);
            return;
        }
        // Before its body is read, a signed request is nobody's: an address that many share must not be shut by those who sign wrongly.
        var isSigned = endpoint?.Metadata.GetMetadata<SignedRoute>() is not null;
        var isOpen = !isSigned && endpoint?.Metadata.GetMetadata<Access>()?.Permission is null;
        if (isOpen && Refusal(context, anonymous, Address(), limits.Address) is { } tooMany)
        {
            // Where the address has spent its wrong credentials too, that is what it is told.
            await Problems.Write(context, wrong.IsSpent(Address(), limits.WrongCredentials) ? TooManyWrong(tooMany) : tooMany);
            return;
        }
        try
        {
            await next(context);
        }
        catch (Problem problem) when (problem.Status == StatusCodes.Status401Unauthorized)
        {
            if (Refusal(context, wrong, Address(), limits.WrongCredentials) is not { } spent) throw;
            await Problems.Write(context, TooManyWrong(spent));
        }
        catch (Problem problem) when (isSigned && problem.Status is >= 400 and < 500 and not StatusCodes.Status429TooManyRequests)
        {
            if (Refusal(context, anonymous, Address(), limits.Address) is not { } spent) throw;
            await Problems.Write(context, spent);
        }

        // A keyed hash, which most requests need none of.
        UInt128 Address() => addresses.Of(context.Connection.RemoteIpAddress);
    }

    /// <summary>Lets a known caller in, or answers for good.</summary>
    public async ValueTask<bool> Admit(HttpContext context, Caller caller)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(caller);
        var own = caller.Realm == Realm.Organization ? (await standings.Of(caller.Tenant, Id<Organization>.Parse(caller.Tenant))).Limits : null;
        var (person, each) = (KeyOf(caller.Id), limits.User.Or(own?.UserRequestsPerMinute));
        var refusal = Refusal(context, people, person, each);
        if (refusal is null && caller.Realm == Realm.Organization)
        {
            refusal = Refusal(context, organizations, KeyOf(Guid.Parse(caller.Tenant)), limits.Organization.Or(own?.RequestsPerMinute));
            // What the organization may not send any more costs its user nothing.
            if (refusal is not null && !each.IsOff) people.Return(person, each);
        }
        if (refusal is null) return true;
        await Problems.Write(context, refusal);
        return false;
    }

    /// <summary>Lets the sender of a webhook in, whose signature was found good.</summary>
    /// <exception cref="Problem">429.</exception>
    public void AdmitSender(HttpContext context, Guid sender)
    {
        if (Refusal(context, senders, KeyOf(sender), limits.Webhooks) is { } refusal) throw refusal;
    }

    /// <summary>Spends one request, and says so on the answer; why not, where there is none left.</summary>
    private static Problem? Refusal(HttpContext context, Meters meters, UInt128 key, in Allowance allowance)
    {
        if (allowance.IsOff) return null;
        var taken = meters.Take(key, allowance);
        RateHeaders.Add(context, meters.Name, allowance, taken);
        return taken.Passed ? null : Problem.RetryLater("limit.exceeded", $"The limit \"{meters.Name}\" is {allowance.PerMinute} requests per minute and is spent.", taken.WaitSeconds);
    }

    private static Problem TooManyWrong(Problem spent) => new("limit.address", "Too many wrong credentials came from this address.") { Headers = spent.Headers };

    private static UInt128 KeyOf(Guid id) => MemoryMarshal.Read<UInt128>(id.ToByteArray());
}
