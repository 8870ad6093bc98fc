// What a Relay application asks: relay-compiler checks that our connections are connections, that
// every object can be found again by its ID, and that the arguments page.
import { graphql } from "relay-runtime";

export const screen = graphql`
  query CampaignPagesQuery($id: ID!) {
    node(id: $id) {
      ... on Campaign @alias(as: "campaign") {
        name
        ...CampaignPages_links
        ...CampaignPages_enrollments
      }
    }
  }
`;

export const links = graphql`
  fragment CampaignPages_links on Campaign
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "CampaignPagesLinksQuery") {
    trackingLinks(first: $count, after: $cursor, orderBy: { field: CREATED_AT })
      @connection(key: "CampaignPages_trackingLinks") {
      edges {
        node {
          id
          shortUrl
          creator {
            handle
          }
        }
      }
    }
  }
`;

export const enrollments = graphql`
  fragment CampaignPages_enrollments on Campaign
  @argumentDefinitions(count: { type: "Int", defaultValue: 20 }, cursor: { type: "String" })
  @refetchable(queryName: "CampaignPagesEnrollmentsQuery") {
    enrollments(last: $count, before: $cursor)
      @connection(key: "CampaignPages_enrollments") {
      edges {
        node {
          id
          stage
        }
      }
    }
  }
`;

export const promote = graphql`
  mutation CampaignPagesPromoteMutation($input: PromoteEnrollmentsInput!) {
    promoteEnrollments(input: $input) {
      results {
        enrollment {
          id
          stage
        }
        userErrors {
          code
          message
          path
        }
      }
      userErrors {
        code
        message
      }
    }
  }
`;
