using System.Text.Json.Serialization;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;

namespace Nubabel.Domain.Breaches;

/// <summary>What is lost of personal data (Art. 4(12), by the three goals of security).</summary>
[JsonConverter(typeof(BreachKindConverter))]
public enum BreachKind { Confidentiality, Integrity, Availability }

internal sealed class BreachKindConverter() : WordConverter<BreachKind>("breach.kind_invalid");

/// <summary>What it means to the people: nothing that is likely, a risk (the authority is told, Art. 33), a high risk (the people are told, too, Art. 34).</summary>
[JsonConverter(typeof(BreachRiskConverter))]
public enum BreachRisk { None, Risk, High }

internal sealed class BreachRiskConverter() : WordConverter<BreachRisk>("breach.risk_invalid");

/// <summary>Who is told.</summary>
[JsonConverter(typeof(BreachAudienceConverter))]
public enum BreachAudience
{
    /// <summary>The owners of the affected organizations, who answer for their people (Art. 33(2)).</summary>
    Tenants,

    /// <summary>The affected people themselves (Art. 34).</summary>
    People,
}

internal sealed class BreachAudienceConverter() : WordConverter<BreachAudience>("breach.audience_invalid");

/// <summary>Why the people need not be told of a high risk: Art. 34(3), letters a to c.</summary>
[JsonConverter(typeof(BreachExemptionConverter))]
public enum BreachExemption
{
    /// <summary>Whoever has the data cannot read them: they are encrypted.</summary>
    Unintelligible,

    /// <summary>What was done since makes the high risk unlikely.</summary>
    RiskRemoved,

    /// <summary>It would take too much; they are told in public instead.</summary>
    Disproportionate,
}

internal sealed class BreachExemptionConverter() : WordConverter<BreachExemption>("breach.exemption_invalid");

/// <summary>What happened.</summary>
/// <param name="Title">In the clear: it names no person.</param>
/// <param name="Description">It may name people, so it is sealed under the breach's own key.</param>
/// <param name="AwareAt">When it became known: the 72 hours of Art. 33(1) run from here.</param>
/// <param name="OccurredFrom">Null while that is not known.</param>
/// <param name="OccurredTo">Null while it goes on, or is not known.</param>
/// <param name="Source">How it came to be known: <c>monitoring</c>, a report.</param>
public sealed record BreachFacts(
    Phrase Title, Personal Description, DateTimeOffset AwareAt, IReadOnlyList<BreachKind> Kinds, DateTimeOffset? OccurredFrom = null, DateTimeOffset? OccurredTo = null, Phrase? Source = null)
{
    public bool Equals(BreachFacts? other) => other is not null && (Title, Description, AwareAt, OccurredFrom, OccurredTo, Source) == (other.Title, other.Description, other.AwareAt, other.OccurredFrom, other.OccurredTo, other.Source)
        && Lists.Same(Kinds, other.Kinds);

    public override int GetHashCode() => HashCode.Combine(Title, AwareAt, Kinds.Count);
}

/// <summary>What it means (Art. 33(3)): how grave, which data, whose, how many, what follows, what is done.</summary>
/// <param name="Reason">Why the risk is what it is said to be.</param>
/// <param name="ApproximatePeople">Null while nobody can say.</param>
public sealed record BreachAssessment(
    BreachRisk Risk, Prose Reason, IReadOnlyList<Phrase> DataCategories, IReadOnlyList<Phrase> PeopleCategories, long? ApproximatePeople = null, long? ApproximateRecords = null, Prose? Consequences = null,
    Prose? Measures = null)
{
    public bool Equals(BreachAssessment? other) => other is not null
        && (Risk, Reason, ApproximatePeople, ApproximateRecords, Consequences, Measures) == (other.Risk, other.Reason, other.ApproximatePeople, other.ApproximateRecords, other.Consequences, other.Measures)
        && Lists.Same(DataCategories, other.DataCategories) && Lists.Same(PeopleCategories, other.PeopleCategories);

    public override int GetHashCode() => HashCode.Combine(Risk, Reason);
}

/// <summary>Some users of an organization, by name.</summary>
public sealed record AffectedUsers(Id<Organization> OrganizationId, IReadOnlyList<Id<User>> Users)
{
    public bool Equals(AffectedUsers? other) => other is not null && OrganizationId == other.OrganizationId && Lists.Same(Users, other.Users);
    public override int GetHashCode() => OrganizationId.GetHashCode();
}

/// <summary>Everybody who did anything between two times, signing in and staying signed in included.</summary>
/// <param name="Organizations">Only there; null for everywhere.</param>
public sealed record SeenBetween(DateTimeOffset From, DateTimeOffset To, IReadOnlyList<Id<Organization>>? Organizations = null)
{
    public bool Equals(SeenBetween? other) => other is not null && (From, To) == (other.From, other.To) && Lists.Same(Organizations, other.Organizations);
    public override int GetHashCode() => HashCode.Combine(From, To);
}

/// <summary>Who is affected. The members add up.</summary>
/// <param name="Organizations">Affected as such, whatever of their users.</param>
/// <param name="AllUsersOf">All who ever had an account there.</param>
public sealed record BreachScope(
    IReadOnlyList<Id<Organization>>? Organizations = null, IReadOnlyList<Id<Organization>>? AllUsersOf = null, IReadOnlyList<AffectedUsers>? Users = null, SeenBetween? Seen = null)
{
    /// <summary>Users and organizations that are named one by one.</summary>
    public const int Most = 5_000;

    public bool Equals(BreachScope? other) => other is not null && Seen == other.Seen && Lists.Same(Organizations, other.Organizations) && Lists.Same(AllUsersOf, other.AllUsersOf) && Lists.Same(Users, other.Users);
    public override int GetHashCode() => HashCode.Combine(Organizations?.Count, AllUsersOf?.Count, Users?.Count, Seen);

    internal bool IsEmpty => Organizations is null or [] && AllUsersOf is null or [] && Users is null or [] && Seen is null;
    internal int Named => (Organizations?.Count ?? 0) + (AllUsersOf?.Count ?? 0) + (Users?.Sum(u => 1 + u.Users.Count) ?? 0) + (Seen?.Organizations?.Count ?? 0);
}

/// <summary>A report to the authority. Where not all is known at once, several follow one another (Art. 33(4)).</summary>
/// <param name="Phase">From 1 on.</param>
/// <param name="IsComplete">Nothing follows.</param>
/// <param name="DelayReason">Why it comes after the 72 hours: then it must be said (Art. 33(1)).</param>
public sealed record BreachReport(int Phase, Phrase Authority, DateTimeOffset ReportedAt, bool IsComplete, Phrase? Reference = null, Prose? Content = null, Prose? DelayReason = null);

/// <summary>What those are told who are affected (Art. 34(2)): in plain words, and naming nobody.</summary>
/// <param name="Contact">Where more can be learnt.</param>
/// <param name="Advice">What they can do themselves.</param>
public sealed record NoticeText(Phrase Subject, Prose WhatHappened, Prose Consequences, Prose Measures, Phrase Contact, Prose? Advice = null);

/// <summary>One wording of what an audience is told.</summary>
/// <param name="Number">From 1 on: each is sent once to each.</param>
/// <param name="IsOrdered">It is being sent, or was.</param>
/// <param name="IsDone">Every letter of it is on its way.</param>
public sealed record BreachWording(BreachAudience Audience, int Number, NoticeText Text, bool IsOrdered = false, bool IsDone = false);
